"""The settings of the raw-video backbones."""

from typing import Annotated, Literal

from graftwork.core.config import Ge, Gt, config

Input = Literal["blind", "stabilised", "matched"]


@config
class TinyRViDeformerConfig:
    """Settings of the small RViDeformer that ships here."""

    frames: Annotated[int, Ge(1)] = 6
    """Frames of a training example."""

    patch: Annotated[int, Ge(8)] = 64
    """Side of a training example in packed pixels, half as many as the sensor's."""

    orient: bool = True
    """Whether training examples are flipped and transposed, colours kept."""

    tile: Annotated[int, Ge(32)] = 64
    """Side of the tiles in packed pixels that a frame is denoised in."""

    overlap: Annotated[int, Ge(0)] = 8
    """Packed pixels that neighbouring tiles share and blend over."""

    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, more time."""


@config
class RViDeformerSettings(TinyRViDeformerConfig):
    """Settings of an RViDeformer from a file, or with fresh weights."""

    path: str | None = None
    """A .safetensors file of graftwork; absent for fresh weights of `variant`."""

    variant: Literal["T", "S", "M", "L"] = "T"
    """The size of fresh weights."""

    input: Input = "blind"
    """What the network is given: the frames as they are (``blind``, as published); the frames after
    a transform that makes their noise 1 everywhere (``stabilised``); or the frames moved so that
    their noise is the one that a blind network was trained with (``matched``, without training)."""

    reference: str | None = None
    """``matched``: the sensor that the network was trained for; absent for crvd."""

    reference_iso: Annotated[int, Gt(0)] | None = None
    """``matched``: the ISO of that sensor whose noise the network is shown; absent for 6400."""

    def __post_init__(self) -> None:
        if self.input != "matched" and (self.reference or self.reference_iso):
            raise ValueError(
                f"reference: has no part in the input '{self.input}'; take it out, or choose "
                "'matched'"
            )
