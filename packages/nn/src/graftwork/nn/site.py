"""A site: one place in a backbone that an adapter can sit on.

Whatever the layer, an adapter sees one matrix W of shape (rows, cols) with y = W x:

| layer     | rows         | cols                          | x              |
|-----------|--------------|-------------------------------|----------------|
| linear    | out          | in                            | features       |
| conv      | out channels | in channels / groups * kernel | unfolded patch |
| embedding | dimensions   | vocabulary                    | one-hot token  |
| norm      | features     | 1                             | see below      |

A packed projection (q, k and v in one weight) is one site for each part. The weight of a norm is a
column that scales what is normalised; only adapters that say so (`Adapter.norms`) sit there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

SiteKind = Literal["linear", "conv1d", "conv2d", "conv3d", "embedding", "norm"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """Where an adapter sits: a layer's weight, or a range of rows of it."""

    name: str
    """Dotted name inside the backbone; a part of a packed projection adds its own (".q")."""
    layer: nn.Module
    kind: SiteKind
    parameter: str = "weight"
    """Name of the weight in the layer."""
    parts: Mapping[str, int] = field(default_factory=dict)
    """Packed projections: the name and the rows of each part, in order."""
    part: str = ""
    """Which part this site is; empty for a whole weight."""
    start: int = 0
    """First row of the part."""
    rows: int = 0
    """Rows of W; filled in for a whole weight."""
    observable: bool = True
    """Whether the layer's own forward applies the weight to its input, so that an adapter can
    see that input. False where another module reads the weight (`nn.MultiheadAttention`)."""

    def __post_init__(self) -> None:
        if not self.rows:
            object.__setattr__(self, "rows", self.matrix(self.frozen()).shape[0])

    @property
    def cols(self) -> int:
        """Columns of W."""
        shape = self.frozen().shape
        return shape[0] if self.kind == "embedding" else shape[1:].numel()

    @property
    def key(self) -> str:
        """The site's name inside its layer."""
        return self.part or self.parameter

    def split(self) -> tuple["Site", ...]:
        """One site for each part of a packed projection; itself otherwise."""
        sites, start = [], 0
        for part, rows in self.parts.items():
            name = f"{self.name}.{part}"
            sites.append(replace(self, name=name, part=part, parts={}, start=start, rows=rows))
            start += rows
        return tuple(sites) or (self,)

    def frozen(self) -> Tensor:
        """The whole frozen parameter in the layer's own shape."""
        parameter = self.layer._parameters[self.parameter]
        assert parameter is not None
        return parameter

    def weight(self) -> Float[Tensor, "rows cols"]:
        """The frozen W of this site: a view, never a copy."""
        return self.matrix(self.frozen()).narrow(0, self.start, self.rows)

    def matrix(self, weight: Tensor) -> Float[Tensor, "all_rows cols"]:
        """View a weight in the layer's own shape as a matrix."""
        if self.kind == "norm":
            return weight[:, None]
        return weight.T if self.kind == "embedding" else weight.flatten(1)

    def shaped(self, matrix: Float[Tensor, "all_rows cols"]) -> Tensor:
        """View a matrix in the layer's own shape; `matrix` undone."""
        if self.kind == "embedding":
            return matrix.T
        return matrix.reshape(-1, *self.frozen().shape[1:])

    def apply(
        self, x: Tensor, matrix: Float[Tensor, "out cols"], bias: Tensor | None = None
    ) -> Tensor:
        """The layer's own operation with another matrix in place of its weight."""
        layer = self.layer
        if self.kind == "linear":
            return F.linear(x, matrix, bias)
        if self.kind == "embedding":
            return F.embedding(x, matrix.T)
        if self.kind == "norm":
            return _normalise(layer, x, matrix[:, 0], bias)
        return layer._conv_forward(x, self.shaped(matrix), bias)  # type: ignore[operator]

    def down(self, x: Tensor, a: Float[Tensor, "rank cols"]) -> Tensor:
        """The layer's operation with only `rank` outputs; with `up`, applies B A to x.

        A grouped convolution applies `a` to every group: its output has groups * rank channels.
        Works in the dtype of `a`, whatever that of `x`.
        """
        x = x.to(a.dtype) if x.is_floating_point() else x
        return self.apply(x, a.repeat(self.groups, 1) if self.groups > 1 else a)

    def up(self, hidden: Tensor, b: Float[Tensor, "rows rank"]) -> Tensor:
        """Mix the channels of `down`'s output into the layer's output channels."""
        if not self.kind.startswith("conv"):
            return F.linear(hidden, b)
        convolve = {"conv1d": F.conv1d, "conv2d": F.conv2d, "conv3d": F.conv3d}[self.kind]
        ones = (1,) * (self.frozen().dim() - 2)
        return convolve(hidden, b.view(*b.shape, *ones), groups=self.groups)

    def channels(self, vector: Float[Tensor, "rows"]) -> Tensor:
        """Shape a value for each row of W so that it broadcasts over the layer's output."""
        if not self.kind.startswith("conv"):
            return vector
        return vector.view(-1, *(1,) * (self.frozen().dim() - 2))

    @property
    def groups(self) -> int:
        """Groups of a convolution, 1 elsewhere."""
        return getattr(self.layer, "groups", 1) if self.kind.startswith("conv") else 1

    @property
    def bias(self) -> Tensor | None:
        """This site's slice of the layer's bias."""
        bias = self.layer._parameters.get(f"{self.parameter.removesuffix('weight')}bias")
        return None if bias is None else bias.narrow(0, self.start, self.rows)


def _normalise(
    layer: nn.Module, x: Tensor, weight: Float[Tensor, "features"], bias: Tensor | None
) -> Tensor:
    if isinstance(layer, nn.RMSNorm):
        return F.rms_norm(x, layer.normalized_shape, weight, layer.eps)
    assert isinstance(layer, nn.LayerNorm)
    return F.layer_norm(x, layer.normalized_shape, weight, bias, layer.eps)
