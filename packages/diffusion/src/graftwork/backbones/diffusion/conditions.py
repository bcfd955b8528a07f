"""Under which captions a training step predicts, and what they come to as embeddings."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.backbones.diffusion import text
from graftwork.backbones.diffusion.examples import Draw, Examples
from graftwork.backbones.diffusion.parts import Parts
from graftwork.core.errors import GraftworkError
from graftwork.nn.branches import branched
from graftwork.nn.handle import Branch
from graftwork.nn.words import LearnedWords

OFFERS = frozenset({"prediction", "negative", "free"})
"""The words of `Loss.needs` that a step of Stable Diffusion can satisfy."""


def require(needs: frozenset[str], examples: Examples, words: LearnedWords) -> None:
    """Raise `GraftworkError` for a need that the backbone, the data or the grafts do not meet."""
    unknown = needs - OFFERS
    if unknown:
        raise GraftworkError(
            f"loss: it needs '{min(unknown)}', which Stable Diffusion does not compute; "
            f"known: {', '.join(sorted(OFFERS))}"
        )
    if "negative" in needs and not words.opposites:
        raise GraftworkError(
            "loss: one of them (such as dreamartist) needs a learned negative word; choose "
            'adapter.kind = "dreamartist"'
        )
    if "free" in needs and examples.free is None:
        raise GraftworkError(
            "loss: one of them (such as cat) needs captions with a trigger; set data.trigger"
        )


def captions(
    examples: Examples,
    index: Int[Tensor, "b"],
    draw: Draw,
    *,
    needs: frozenset[str],
    words: LearnedWords,
) -> dict[str, list[str]]:
    """The captions of a batch for every need, the negative ones first as in DreamArtist."""
    own = examples.spelled(examples.captions[index].masked_fill(draw.dropped.cpu(), 0))
    found = {"negative": [words.negative(caption) for caption in own], "prediction": own}
    if examples.free is not None:
        found["free"] = examples.spelled(examples.free[index])
    return {need: texts for need, texts in found.items() if need in needs}


def by_branch(
    captions: Mapping[str, list[str]], parts: Parts
) -> Iterator[tuple[Branch, dict[str, list[str]]]]:
    """The needs that may share a batch: all, unless grafts act on one branch of guidance alone.

    Raises:
        GraftworkError: there are such grafts, and gradient checkpointing.
    """
    if not branched(parts):
        yield "both", dict(captions)
        return
    refuse_checkpointing(parts)
    yield "negative", {need: texts for need, texts in captions.items() if need == "negative"}
    yield "positive", {need: texts for need, texts in captions.items() if need != "negative"}


def refuse_checkpointing(parts: Parts) -> None:
    """Refuse gradient checkpointing beside a graft on one branch of guidance.

    It runs the UNet again in the backward pass, when it is known no more which branch it was.

    Raises:
        GraftworkError: both are there.
    """
    if branched(parts) and parts.unet.is_gradient_checkpointing:
        raise GraftworkError(
            "backbone.gradient_checkpointing: does not go with a graft on one branch; set it to "
            "false"
        )


def embed(
    captions: Mapping[str, Sequence[str]],
    *,
    examples: Examples,
    parts: Parts,
    words: LearnedWords,
) -> dict[str, Float[Tensor, "b tokens dims"]]:
    """Embeddings of the captions of every need.

    Those of the data were computed once; they are computed anew where a graft on the text encoder
    changes them as it trains.
    """
    if not captions:
        return {}
    texts = [caption for batch in captions.values() for caption in batch]
    if parts.text_is_adapted():
        embeddings = text.embed_texts(parts.text_encoder, parts.tokenizer, texts, words)
    else:
        rows = [examples.texts.index(caption) for caption in texts]
        embeddings = examples.embeddings[torch.tensor(rows)]
    return dict(zip(captions, embeddings.chunk(len(captions)), strict=True))
