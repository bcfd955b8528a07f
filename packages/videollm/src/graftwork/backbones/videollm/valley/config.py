"""What a Valley is built from.

Luo et al. 2023, "Valley: Video Assistant with Large Language model Enhanced abilitY",
arXiv:2306.07207. The defaults are the released shape: CLIP ViT-L/14 at 224 pixels and a LLaMA.
"""

from typing import Any, no_type_check

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from graftwork.core.errors import GraftworkError

TEMPORAL = ("mean", "max", "importance", "delta")
"""How the patches of a clip's frames become those of one frame: T-v1, its maximum, T-v2, T-v3."""

TEMPLATES = ("valley", "tokenizer")
"""Whose words dialogues are written in."""

_CLIP = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24} | {
    "num_attention_heads": 16,
    "image_size": 224,
    "patch_size": 14,
    "projection_dim": 768,
}


# transformers makes it a dataclass that takes more arguments than its fields, which no checker of
# types at run time can know.
@no_type_check
class ValleyConfig(PreTrainedConfig):
    """Everything that a Valley is built from; its parts may be any that transformers knows.

    Raises:
        GraftworkError: a value is out of its range, or two do not fit each other.
    """

    model_type = "valley"
    sub_configs_defaults = {
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="llama"),
        "vision_config": SubConfigSpec(
            config_class=AutoConfig, model_type="clip_vision_model", init_kwargs=_CLIP
        ),
    }

    text_config: dict[str, Any] | PreTrainedConfig | None = None
    """The decoder's; any that `AutoModelForCausalLM` builds."""

    vision_config: dict[str, Any] | PreTrainedConfig | None = None
    """The tower's, of all its blocks; any that `AutoModel` builds."""

    temporal: str = "mean"
    """One of "mean", "max", "importance", "delta"."""

    frame_tokens: bool = True
    """Whether each frame adds one token of its own, in the order of time."""

    vision_feature_layer: int = -2
    """Which hidden state of the tower is used; 0 is its embeddings, -1 the last block's output."""

    vision_prefix_tokens: int = 1
    """Tokens of the tower before the patches. The first one is the frame's own token; where there
    is none, that is the mean over the frame's patches."""

    truncate_vision_tower: bool = True
    """Whether blocks after `vision_feature_layer` are left out, built neither nor loaded."""

    freeze_vision_tower: bool = True
    """Whether the tower starts without trainable parameters, after loading too."""

    patches_per_frame: int | None = None
    """Patches of a frame; by default what the image and patch sizes of the tower give."""

    video_token_id: int = 32000
    """The one placeholder, for rows of patches and of frames alike."""

    delta_heads: int = 8
    """Heads of the temporal encoder of "delta"."""

    delta_intermediate_size: int = 2048
    """Its feed-forward width."""

    delta_dropout: float = 0.1
    """Its dropout: of attention weights, of hidden units and of both residual branches."""

    delta_norm_eps: float = 1e-5
    """Of its two layer norms."""

    system: str | None = None
    """The line that every dialogue opens with, as the model was trained on it: "" for none, absent
    for the default of `graftwork.backbones.videollm.valley.template`, or none in the words of a
    chat template."""

    template: str | None = None
    """Whose words dialogues are written in: "valley" for its own, as the released weights were
    trained, "tokenizer" for the chat template of the tokenizer; absent for the chat template where
    there is one."""

    tie_word_embeddings: bool = False
    """Not used: the decoder's own configuration says whether its embeddings are tied."""

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for field, fault in self._faults():
            raise GraftworkError(f"ValleyConfig: {field} = {getattr(self, field)!r}: {fault}")

    @property
    def patches(self) -> int:
        """Patches of one frame, P."""
        if self.patches_per_frame is not None:
            return self.patches_per_frame
        image, patch = (_pair(getattr(self.vision_config, key)) for key in _SIZES)
        return (image[0] // patch[0]) * (image[1] // patch[1])

    @property
    def vision_blocks(self) -> int:
        """Blocks of the tower whose output is used."""
        total = self.vision_config.num_hidden_layers  # type: ignore[union-attr]
        layer = self.vision_feature_layer
        return int(total + 1 + layer if layer < 0 else layer)

    def visual_rows(self, frames: int) -> int:
        """Rows, and so placeholders, of a clip: P + T, or P without frame tokens."""
        return self.patches + frames * self.frame_tokens

    def _faults(self) -> list[tuple[str, str]]:
        """Fields and what is wrong with them."""
        total = self.vision_config.num_hidden_layers  # type: ignore[union-attr]
        width = self.text_config.hidden_size  # type: ignore[union-attr]
        delta = self.temporal == "delta"
        checks = {
            "temporal": (self.temporal in TEMPORAL, f"choose from {', '.join(TEMPORAL)}"),
            "vision_feature_layer": (
                0 < self.vision_blocks <= total,
                f"the tower has {total} blocks; use -{total} to -1, or 1 to {total}",
            ),
            "vision_prefix_tokens": (self.vision_prefix_tokens >= 0, "use 0 or more"),
            "patches_per_frame": (
                self.patches_per_frame is None or self.patches_per_frame > 0,
                "use 1 or more",
            ),
            "video_token_id": (self.video_token_id >= 0, "use the id of the placeholder"),
            "template": (
                self.template in (None, *TEMPLATES),
                f"choose from {', '.join(TEMPLATES)}, or leave it out",
            ),
            "delta_heads": (
                not delta or (self.delta_heads > 0 and width % (2 * self.delta_heads) == 0),
                f"the decoder's width {width} has to be a multiple of twice as many",
            ),
            "delta_intermediate_size": (self.delta_intermediate_size > 0, "use 1 or more"),
            "delta_dropout": (0 <= self.delta_dropout < 1, "use 0 to below 1"),
            "delta_norm_eps": (self.delta_norm_eps > 0, "use a number above 0"),
        }
        return [(field, fault) for field, (right, fault) in checks.items() if not right]


_SIZES = ("image_size", "patch_size")


def _pair(size: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])
