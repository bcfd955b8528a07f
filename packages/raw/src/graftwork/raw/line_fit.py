"""A straight line through measurements of which some are too high.

Weighted least squares, reweighted by one half of Huber's rule (1964): a point more than two
standard errors above the line counts in inverse proportion to its distance, one below it fully:
texture can only add to a variance.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

_ROUNDS = 60
_FAR = 2.0  # standard errors


class Line(NamedTuple):
    """y = slope · x + offset, with standard errors."""

    slope: float
    offset: float
    slope_error: float
    offset_error: float


def fit_line(
    x: Float[Tensor, "points"], y: Float[Tensor, "points"], error: Float[Tensor, "points"]
) -> Line:
    """The line through y at x, whose standard errors are given.

    Reported errors grow where the points lie further from the line than their own errors explain.
    """
    design = torch.stack((x, torch.ones_like(x)), dim=1) / error[:, None]
    target = y / error
    weights = torch.ones_like(x)
    for _ in range(_ROUNDS):
        solution = _solve(design, target, weights)
        above = target - design @ solution
        weights = _FAR / above.clamp(min=_FAR)
    spread = max(1.0, float((weights * above.square()).mean().sqrt()))
    covariance = torch.linalg.pinv(design.T @ (weights[:, None] * design))
    errors = spread * covariance.diagonal().sqrt()
    return Line(*solution.tolist(), *errors.tolist())


def _solve(design: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    root = weights.sqrt()
    return torch.linalg.lstsq(design * root[:, None], target * root).solution
