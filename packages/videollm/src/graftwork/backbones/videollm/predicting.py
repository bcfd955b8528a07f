"""The tokens of answers, and what a model thinks of each when it is told the ones before."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor

from graftwork.backbones.videollm.checkpointed import checkpointed
from graftwork.backbones.videollm.prompt import Prompt
from graftwork.backbones.videollm.video_llm import VideoLLM


def predicted(
    llm: VideoLLM, prompts: Sequence[Prompt], *, checkpointing: bool = False
) -> tuple[Int[Tensor, "tokens"], Float[Tensor, "tokens vocabulary"]]:
    """The supervised tokens of all prompts, and the logits that predict them.

    Args:
        llm: the model, with its grafts.
        prompts: what it reads.
        checkpointing: whether its layers are computed again for the backward pass.
    """
    batch = llm.rows(prompts, left=False)
    places = batch.predicting()
    first = int(places.any(dim=0).nonzero()[0])  # nothing is asked of what lies before
    inputs = llm.inputs(prompts, batch)
    kept = batch.ids.shape[1] - first
    with checkpointed(llm.module, enabled=checkpointing):
        logits = llm.module(**inputs, use_cache=False, logits_to_keep=kept).logits
    return batch.targets(), logits[places[:, first:]]
