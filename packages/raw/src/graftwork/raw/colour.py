"""The colours of `isp` and of its inverse: one camera, fixed.

The camera's matrix is

    RGB→camera = rows summing to 1 of  inv(camera→XYZ) · (sRGB→XYZ),

with the constants of RViDeNet's unprocessing (Yue et al. 2020), those of a phone camera.
"""

import torch
from jaxtyping import Float
from torch import Tensor

_CAMERA_TO_XYZ = (
    (0.4679, 0.2145, 0.3176),
    (0.1433, 0.8236, 0.0331),
    (0.0003, -0.3607, 1.3604),
)
# IEC 61966-2-1, D65.
_SRGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)

WHITE_BALANCE = (1 / 0.5527, 1.0, 1 / 0.4844)
"""Gains of R, G and B."""

GAMMA = 2.2
"""Power between linear light and the values before the tone curve."""


def rgb_to_camera() -> Float[Tensor, "3 3"]:
    """Linear sRGB to the camera's colours, in float64; white stays white."""
    wide = torch.linalg.solve(_matrix(_CAMERA_TO_XYZ), _matrix(_SRGB_TO_XYZ))
    return wide / wide.sum(dim=1, keepdim=True)


def camera_to_rgb() -> Float[Tensor, "3 3"]:
    """The inverse of `rgb_to_camera`; its rows sum to 1 as well."""
    return torch.linalg.inv(rgb_to_camera())


def apply_matrix(
    matrix: Float[Tensor, "3 3"], image: Float[Tensor, "*lead 3 height width"]
) -> Float[Tensor, "*lead 3 height width"]:
    """The matrix times the colour of each pixel."""
    return torch.einsum("oc,...chw->...ohw", matrix.to(image), image)


def _matrix(rows: tuple[tuple[float, ...], ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)
