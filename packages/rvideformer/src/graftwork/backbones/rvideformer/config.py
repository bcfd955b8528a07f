"""The sizes and options of an RViDeformer, and the four published variants.

Yue et al. 2023, "RViDeformer: Efficient Raw Video Denoising Transformer with a Larger Benchmark
Dataset", arXiv:2305.00767.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from math import lcm
from typing import Any, Literal, get_args

from graftwork.core.errors import GraftworkError

BranchMode = Literal["auto", "global", "neighbour"]
"""What the third branch of an attention sees: the whole map, or the windows around its own.
"auto" decides by the map's height, as the published model does."""

Padding = Literal["compatible", "masked"]
"""Whether the tokens that fill up the last windows take part in the attention, as in the
published model, or are left out of it."""

Form = Literal["training", "merged"]
"""With the doubled layers of training, or with each pair folded into one layer."""

SCALES = (1, 2, 4, 8, 4, 2, 1)
"""How much smaller than the input each stage's map is."""


@dataclass(frozen=True, kw_only=True)
class RViDeformerConfig:
    """Everything that a model is built from; the defaults are the variant T."""

    depths: tuple[int, ...] = (1,) * 7
    """Blocks in each of the seven stages; `mutual_ratio` of them, rounded down, are temporal."""

    refinement_depths: tuple[int, ...] = (1, 1)
    """Blocks in each entry of the refinement at full resolution."""

    width: int = 24
    """Channels in the stages."""

    refinement_width: int = 24
    """Channels in the refinement."""

    heads: int = 6
    """Heads of the window branch; the two other branches have half as many."""

    window: tuple[int, int, int] = (6, 8, 8)
    """Frames, rows and columns of a window. Windows of temporal blocks have two frames."""

    mutual_ratio: float = 0.75
    """Part of a stage's blocks that are temporal."""

    branches: tuple[BranchMode, BranchMode, BranchMode, BranchMode] = ("auto",) * 4
    """Mode of the third branch at scales 1, 2, 4 and 8."""

    padding: Padding = "compatible"
    """How padded tokens are treated."""

    drop_path: float = 0.2
    """Chance, in training, that the last block is skipped; it rises linearly from 0."""

    form: Form = "training"
    """Which layers the model has."""

    def __post_init__(self) -> None:
        for field, fault in self._faults():
            raise GraftworkError(f"RViDeformerConfig.{field}: {fault}")

    def _faults(self) -> Iterator[tuple[str, str]]:
        if self.heads < 2 or self.heads % 2:
            yield "heads", f"{self.heads} cannot be halved; use an even number"
            return
        # A scale is left with a quarter of the channels, and the sine code has four parts.
        for field, step in (("width", lcm(self.heads, 4)), ("refinement_width", self.heads)):
            if getattr(self, field) % step or getattr(self, field) < 1:
                yield field, f"{getattr(self, field)} is no multiple of {step}; use one"
        if len(self.depths) != len(SCALES):
            yield "depths", f"{len(self.depths)} stages are given; give 7"
        for field in ("depths", "refinement_depths"):
            if min((1, *getattr(self, field))) < 1:
                yield field, "a stage has no block; give each at least 1"
        if self.window[0] < 1 or any(side < 2 or side % 2 for side in self.window[1:]):
            yield "window", f"{self.window} cannot be pooled by two; use even rows and columns"
        for field in ("mutual_ratio", "drop_path"):
            if not 0 <= getattr(self, field) < 1:
                yield field, f"{getattr(self, field)} is not in 0 <= x < 1; use such a number"
        for field, known in (("padding", Padding), ("form", Form), ("branches", BranchMode)):
            given = getattr(self, field)
            for value in given if field == "branches" else (given,):
                if value not in get_args(known):
                    yield field, f"{value!r} is unknown; use one of {', '.join(get_args(known))}"
        if len(self.branches) != 4:
            yield "branches", f"{len(self.branches)} modes are given; give 4, for scales 1, 2, 4, 8"

    def temporal(self, stage: int) -> int:
        """How many of a stage's blocks are temporal: int(ratio * depth)."""
        return int(self.mutual_ratio * self.depths[stage])

    def branch(self, scale: int) -> BranchMode:
        """The mode of the third branch at one of the scales 1, 2, 4, 8."""
        return self.branches[scale.bit_length() - 1]

    @property
    def least(self) -> tuple[int, int]:
        """The smallest map, in rows and columns: one window at the coarsest scale."""
        return self.window[1] * max(SCALES), self.window[2] * max(SCALES)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a file's metadata holds them."""
        return asdict(self)


VARIANTS: Mapping[str, RViDeformerConfig] = {
    "T": RViDeformerConfig(),
    "S": RViDeformerConfig(
        depths=(2,) * 7, refinement_depths=(1,) * 3, width=24, refinement_width=30
    ),
    "M": RViDeformerConfig(
        depths=(4,) * 7, refinement_depths=(2,) * 4, width=24, refinement_width=30
    ),
    "L": RViDeformerConfig(
        depths=(4,) * 7, refinement_depths=(2,) * 4, width=84, refinement_width=108
    ),
}
"""The published sizes."""
