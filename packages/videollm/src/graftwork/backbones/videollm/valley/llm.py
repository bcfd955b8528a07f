"""How a Valley sees and reads."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.dialogue.ending import generation_stops
from graftwork.backbones.videollm.prompt import Prompt, Rows
from graftwork.backbones.videollm.seen import Seen
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.pixels import to_pixel_values
from graftwork.backbones.videollm.valley.wording import clip_text, valley_dialogues
from graftwork.backbones.videollm.video_llm import VideoLLM
from graftwork.video.clip import Clip


@final
class ValleyLLM(VideoLLM):
    """A Valley and its tokenizer; what is kept of a clip is the tower's output.

    Args:
        module: the model.
        tokenizer: its own.
        legacy: whether frames are scaled as the release did it.

    Raises:
        GraftworkError: the tokenizer belongs to another model, or cannot write dialogues.
    """

    module: ValleyForConditionalGeneration

    def __init__(
        self,
        module: ValleyForConditionalGeneration,
        tokenizer: PreTrainedTokenizerBase,
        *,
        legacy: bool = False,
    ) -> None:
        stops = generation_stops(module, tokenizer)
        super().__init__(
            module,
            valley_dialogues(module.config, tokenizer, stops=stops),
            towers=("model.vision_tower",),
            unsaid=(module.config.video_token_id,),
        )
        self.legacy = legacy

    def looks(self) -> str:
        """How deep the tower is, and how frames are scaled."""
        config = self.module.config
        return f"{config.vision_feature_layer} {config.truncate_vision_tower} {self.legacy}"

    def pixels(self, clip: Clip) -> Mapping[str, Tensor]:
        """Frames in the tower's size."""
        vision: Any = self.module.config.vision_config
        size = vision.image_size
        return {"frames": to_pixel_values(clip.frames, size=size, legacy=self.legacy)}

    def see(self, pixels: Mapping[str, Tensor]) -> Seen:
        """The tower's tokens of each frame."""
        return {"tower": self.module.tower_features(pixels["frames"])}

    def clip_text(self, seen: Seen) -> str:
        """Placeholders for the patches, and one for each frame."""
        return clip_text(self.module.config, frames=len(seen["tower"]))

    def inputs(self, prompts: Sequence[Prompt], batch: Rows) -> dict[str, Any]:
        """Clips go through projector and temporal module here."""
        inputs: dict[str, Any] = {"input_ids": batch.ids, "attention_mask": batch.mask}
        weight = self.module.model.projector.weight
        clips = [each["tower"].to(weight.device, weight.dtype) for p in prompts for each in p.seen]
        if clips:
            inputs["mm_encoder_outputs"] = {"video": self.module.features_from_tower(clips)}
        return inputs
