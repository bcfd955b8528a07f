"""Valley: frames through a frozen tower, one linear layer and a temporal module into a decoder.

With the tower's tokens V of a clip, Z = V W + b, patches X[t, i] = Z[t, i + 1] and frame tokens
C[t] = Z[t, 0], the rows that take the placeholders' places are [Y[1..P]; C[1..T]], Y = temporal(X)
(Luo et al. 2023, arXiv:2306.07207, section 3.1). The decoder is an ordinary one and stays so.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.utils import can_return_tuple

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.pretrained import ValleyPreTrainedModel
from graftwork.backbones.videollm.valley.splice import places, refuse_unfilled, splice
from graftwork.backbones.videollm.valley.temporal import temporal_module
from graftwork.backbones.videollm.valley.tower import build_tower, hidden_state, unused_keys
from graftwork.core.errors import GraftworkError

Clips = Float[Tensor, "clips time 3 height width"] | Sequence[Float[Tensor, "_ 3 height width"]]
"""Clips of one length, or a list of clips; an image is a clip of one frame."""

TowerClips = (
    Float[Tensor, "clips time tokens vision_width"]
    | Sequence[Float[Tensor, "_ tokens vision_width"]]
)
"""The same, as the tower sees them."""


class ValleyModel(ValleyPreTrainedModel):
    """All of Valley's weights, the decoder's head among them; its output is the hidden state."""

    def __init__(self, config: ValleyConfig) -> None:
        super().__init__(config)
        vision, text = config.vision_config, config.text_config
        self.vision_tower = build_tower(config)
        self.projector = nn.Linear(vision.hidden_size, text.hidden_size)  # type: ignore[union-attr]
        self.temporal = temporal_module(config)
        # Not "language_model": transformers would take the "model" inside it out of old names.
        self.decoder = AutoModelForCausalLM.from_config(text)
        self._keys_to_ignore_on_load_unexpected = unused_keys(config)
        self.freeze_tower()
        self.post_init()

    def train(self, mode: bool = True) -> Self:
        """As torch does; a tower in which nothing trains gives in training what it always gives."""
        super().train(mode)
        if not self._tower_trains():
            self.vision_tower.eval()
        return self

    def get_decoder(self) -> PreTrainedModel:
        """The decoder without its head: where adapters of the language model belong."""
        return self.decoder.get_decoder()

    def set_decoder(self, decoder: PreTrainedModel) -> None:
        """Put another decoder under the head."""
        setattr(self.decoder, self.decoder.base_model_prefix, decoder)

    def get_input_embeddings(self) -> nn.Module:
        """The decoder's embeddings."""
        return self.decoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Give the decoder other embeddings."""
        self.decoder.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module:
        """The decoder's head."""
        return self.decoder.get_output_embeddings()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Give the decoder another head."""
        self.decoder.set_output_embeddings(new_embeddings)

    def tower_features(
        self, frames: Float[Tensor, "frames 3 height width"]
    ) -> Float[Tensor, "frames tokens vision_width"]:
        """What the tower sees in some frames: first its own tokens, then the patches.

        This is what can be kept for a frozen tower: it depends on neither the projector nor the
        temporal module nor the decoder. It carries a gradient only if something in the tower
        trains.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._tower_trains()):
            return hidden_state(self.vision_tower, frames.to(self.vision_tower.dtype), self.config)

    def features_from_tower(self, clips: TowerClips) -> BaseModelOutputWithPooling:
        """Rows of clips from what the tower sees in each of their frames.

        Returns:
            What `forward` and `generate` take as `mm_encoder_outputs={"video": ...}`. Its
            `pooler_output` has `config.visual_rows(frames)` rows for each clip: (clips, rows,
            width) where all clips are of one length, else a list of (rows, width). Its
            `last_hidden_state` is `clips`.

        Raises:
            GraftworkError: there is no clip or no frame, or the features are of another tower.
        """
        self._check_tower_features(clips)
        groups = defaultdict(list)
        for place, clip in enumerate(clips):
            groups[len(clip)].append(place)
        if len(groups) == 1:
            even = clips if isinstance(clips, Tensor) else torch.stack(list(clips))
            return BaseModelOutputWithPooling(
                last_hidden_state=clips, pooler_output=self._rows(even)
            )
        rows: list[Tensor | None] = [None] * len(clips)
        for group in groups.values():
            together = self._rows(torch.stack([clips[place] for place in group]))
            for place, own in zip(group, together, strict=True):
                rows[place] = own
        return BaseModelOutputWithPooling(last_hidden_state=clips, pooler_output=rows)

    @can_return_tuple
    def get_video_features(
        self, pixel_values_videos: Clips, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """Rows of clips, as `features_from_tower` gives them, from their pixels.

        Raises:
            GraftworkError: there is no clip, or a clip has no frame.
        """
        lengths = [len(clip) for clip in pixel_values_videos]
        if not lengths or not all(lengths):
            raise GraftworkError(
                "pixel_values_videos: no clip, or a clip without a frame; give each clip as "
                "(frames, 3, height, width)"
            )
        if isinstance(pixel_values_videos, Tensor):
            seen = self.tower_features(pixel_values_videos.flatten(0, 1))
            return self.features_from_tower(seen.unflatten(0, (len(lengths), -1)))
        seen = self.tower_features(torch.cat(list(pixel_values_videos)))
        return self.features_from_tower(seen.split(lengths))

    def embed(
        self,
        input_ids: Int[Tensor, "batch length"] | None = None,
        *,
        inputs_embeds: Float[Tensor, "batch length features"] | None = None,
        pixel_values_videos: Clips | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        past_key_values: Any = None,
    ) -> Float[Tensor, "batch length features"]:
        """The decoder's input: embeddings of the tokens, and the clips' rows in their places.

        Raises:
            GraftworkError: ids and embeddings are both or neither given, as are pixels and
                features; or there are not as many placeholders as rows.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise GraftworkError("inputs: give either `input_ids` or `inputs_embeds`")
        features = (mm_encoder_outputs or {}).get("video")
        if pixel_values_videos is not None:
            if features is not None:
                raise GraftworkError(
                    "inputs: give either `pixel_values_videos` or `mm_encoder_outputs`"
                )
            features = self.get_video_features(pixel_values_videos, return_dict=True)
        embedding = self.get_input_embeddings()
        embeds = embedding(input_ids) if inputs_embeds is None else inputs_embeds
        # While an answer is written the prompt's clips are behind, and a placeholder is a word.
        begun = past_key_values is not None and past_key_values.get_seq_length() > 0
        if features is not None:
            where = places(input_ids, embeds, embedding, self.config.video_token_id)
            return splice(embeds, where, features.pooler_output)
        if input_ids is not None and not begun:
            refuse_unfilled(input_ids == self.config.video_token_id)
        return embeds

    @can_return_tuple
    def forward(
        self,
        input_ids: Int[Tensor, "batch length"] | None = None,
        pixel_values_videos: Clips | None = None,
        attention_mask: Any = None,
        position_ids: Any = None,
        past_key_values: Any = None,
        inputs_embeds: Float[Tensor, "batch length features"] | None = None,
        use_cache: bool | None = None,
        mm_encoder_outputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The decoder's output, before its head, for prompts with clips in them."""
        embeds = self.embed(
            input_ids,
            inputs_embeds=inputs_embeds,
            pixel_values_videos=pixel_values_videos,
            mm_encoder_outputs=mm_encoder_outputs,
            past_key_values=past_key_values,
        )
        return self.get_decoder()(
            inputs_embeds=embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )

    def _tower_trains(self) -> bool:
        return any(weight.requires_grad for weight in self.vision_tower.parameters())

    def _check_tower_features(self, clips: TowerClips) -> None:
        wide = self.projector.in_features
        tokens = self.config.vision_prefix_tokens + self.config.patches
        if not len(clips) or not all(len(clip) for clip in clips):
            raise GraftworkError("tower features: no clip, or a clip without a frame; give both")
        for clip in clips:
            if clip.shape[1:] != (tokens, wide):
                raise GraftworkError(
                    f"tower features: {clip.shape[1]} tokens of width {clip.shape[2]} for a frame "
                    f"where this model's tower gives {tokens} of {wide}; encode the clips with it, "
                    "at its image size"
                )

    def _rows(
        self, seen: Float[Tensor, "clips time tokens vision_width"]
    ) -> Float[Tensor, "clips rows width"]:
        """[Y; C] of clips of one length."""
        first = self.config.vision_prefix_tokens
        if not self.config.frame_tokens:
            return self.temporal(self.projector(seen[:, :, first:]))
        projected = self.projector(seen)
        patches = projected[:, :, first:]
        own = projected[:, :, 0] if first else patches.mean(2)
        return torch.cat([self.temporal(patches), own], 1)
