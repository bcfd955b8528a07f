"""Valley with its decoder's head: answers, their likelihood and their loss.

Importing this module teaches the Auto classes of transformers the model type "valley".
"""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForImageTextToText,
    GenerationConfig,
    GenerationMixin,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.model import Clips, TowerClips, ValleyModel
from graftwork.backbones.videollm.valley.pretrained import ValleyPreTrainedModel
from graftwork.backbones.videollm.valley.splice import refuse_unfilled


class ValleyForConditionalGeneration(ValleyPreTrainedModel, GenerationMixin):
    """Valley as a language model: `forward` gives logits and a loss, `generate` answers.

    `generate` encodes clips once, before it reads the prompt. It takes clips as pixels, or as rows
    that were made before (`mm_encoder_outputs={"video": model.features_from_tower(...)}`).
    """

    def __init__(self, config: ValleyConfig) -> None:
        super().__init__(config)
        self.model = ValleyModel(config)
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The decoder's head."""
        return self.model.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Give the decoder another head."""
        self.model.set_output_embeddings(new_embeddings)

    def tower_features(
        self, frames: Float[Tensor, "frames 3 height width"]
    ) -> Float[Tensor, "frames tokens vision_width"]:
        """See `ValleyModel.tower_features`."""
        return self.model.tower_features(frames)

    def features_from_tower(self, clips: TowerClips) -> BaseModelOutputWithPooling:
        """See `ValleyModel.features_from_tower`."""
        return self.model.features_from_tower(clips)

    def get_video_features(self, pixel_values_videos: Clips, **kwargs: Any) -> Any:
        """See `ValleyModel.get_video_features`."""
        return self.model.get_video_features(pixel_values_videos, **kwargs)

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        **kwargs: Any,
    ) -> Any:
        """As in transformers, but the placeholder is never written unless `suppress_tokens` is set.

        Text with one too many could not be read again. Rows that are handed in stay as they are,
        whatever beams make of them.

        Raises:
            GraftworkError: there are not as many placeholders as rows.
        """
        settings = self.generation_config if generation_config is None else generation_config
        if settings.suppress_tokens is None:
            kwargs.setdefault("suppress_tokens", [self.config.video_token_id])
        given = kwargs.pop("mm_encoder_outputs", None) or {}
        rows = {kind: type(each)(**each) for kind, each in given.items() if each is not None}
        clips = {"pixel_values_videos": kwargs.pop("pixel_values_videos", None)}
        clips |= {"mm_encoder_outputs": rows or None}
        clips = {name: each for name, each in clips.items() if each is not None}
        ids = kwargs.get("input_ids", inputs)
        if not clips and ids is not None and kwargs.get("past_key_values") is None:
            refuse_unfilled(ids == self.config.video_token_id)
        return super().generate(inputs, generation_config, **clips, **kwargs)

    @can_return_tuple
    def forward(
        self,
        input_ids: Int[Tensor, "batch length"] | None = None,
        pixel_values_videos: Clips | None = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Float[Tensor, "batch length features"] | None = None,
        labels: Int[Tensor, "batch length"] | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Int[Tensor, "kept"] = 0,
        mm_encoder_outputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The decoder's own output for prompts with clips in them.

        Args:
            input_ids: Tokens, with `config.visual_rows(frames)` placeholders for each clip.
            pixel_values_videos: The clips in the order of their placeholders, sample by sample.
            attention_mask: 1 for tokens, 0 for padding.
            position_ids: Of the tokens.
            past_key_values: A cache of what was read before.
            inputs_embeds: In the place of `input_ids`.
            labels: Tokens to predict, -100 where none is.
            use_cache: Whether the output holds a cache.
            logits_to_keep: The last so many positions, or these, get logits; 0 for all.
            mm_encoder_outputs: {"video": rows of the clips} in the place of their pixels.
            kwargs: Go to the decoder, `num_items_in_batch` for the loss among them.

        Returns:
            What the decoder's class returns: `logits`, `loss` with labels, `past_key_values`, ...

        Raises:
            GraftworkError: there are not as many placeholders as rows, or inputs exclude each
                other.
        """
        embeds = self.model.embed(
            input_ids,
            inputs_embeds=inputs_embeds,
            pixel_values_videos=pixel_values_videos,
            mm_encoder_outputs=mm_encoder_outputs,
            past_key_values=past_key_values,
        )
        # The whole decoder is called, so that whatever its family does to logits is done.
        return self.model.decoder(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )


AutoConfig.register(ValleyConfig.model_type, ValleyConfig, exist_ok=True)
AutoModel.register(ValleyConfig, ValleyModel, exist_ok=True)
AutoModelForImageTextToText.register(ValleyConfig, ValleyForConditionalGeneration, exist_ok=True)
