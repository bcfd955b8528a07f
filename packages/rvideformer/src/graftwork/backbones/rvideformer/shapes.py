"""The shapes that the modules of this package pass to each other.

Features of a clip lie channels-last. What has other rows, columns or channels than the map beside
it is an `OtherMap`.
"""

from jaxtyping import Float
from torch import Tensor

Clip = Float[Tensor, "batch frames 4 rows columns"]
"""Packed Bayer frames."""

Map = Float[Tensor, "batch frames rows columns channels"]
"""Features of every place of a clip."""

OtherMap = Float[Tensor, "batch _frames other_rows other_columns other_channels"]
"""A map at another scale, padded, or of another width."""

SmallMap = Float[Tensor, "batch _frames small_rows small_columns channels"]
"""A map that was made smaller."""

Tokens = Float[Tensor, "windows batch tokens channels"]
"""A map cut into windows."""

KeyTokens = Float[Tensor, "windows batch keys channels"]
"""What the tokens of each window attend to."""
