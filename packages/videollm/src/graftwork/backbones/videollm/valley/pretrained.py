"""What Valley's classes share: what they support, fresh weights, and a tower that stays frozen."""

from typing import Any, Self

from torch import nn
from transformers import PreTrainedModel

from graftwork.backbones.videollm.valley.config import ValleyConfig


class ValleyPreTrainedModel(PreTrainedModel):
    """The base of Valley's classes."""

    config: ValleyConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    input_modalities = ("video", "text")
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = ["past_key_values"]
    # Attention is the tower's and the decoder's; each checks what it is asked for.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; the tower is frozen, unless the configuration says otherwise."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.freeze_tower()  # loading makes every weight trainable
        return loaded

    def freeze_tower(self) -> Self:
        """Make the tower's weights untrainable if `config.freeze_vision_tower`; gives itself."""
        if self.config.freeze_vision_tower:
            self.get_encoder(modality="video").requires_grad_(False)
        return self

    def _init_weights(self, module: nn.Module) -> None:
        """The release's layers beside tower and decoder, which have their own, start as torch's do.

        A score over P x D inputs, in particular, would saturate the softmax if its weights were
        drawn with the decoder's deviation.
        """
        if isinstance(module, (nn.Linear, nn.LayerNorm)):
            module.reset_parameters()
