"""A tensor as a few values and, for each entry, the number of one of them."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

_POINTS = 512  # to which the entries are gathered for the search
_ROUNDS = 200


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """A quantised tensor."""

    values: Float[Tensor, "k"]
    """The values in use, ascending, in float32."""
    codes: Int[Tensor, "*shape"]
    """For each entry the index of its value."""

    def tensor(self) -> Float[Tensor, "*shape"]:
        """The tensor that this stands for."""
        return self.values[self.codes]


def quantized(tensor: Float[Tensor, "*shape"], bits: int) -> Codebook:
    """The tensor by k-means with 2^bits centroids (fewer where it has fewer values).

    In one dimension clusters are intervals, and dynamic programming finds the best ones (Fisher
    1958, doi:10.1080/01621459.1958.10501479): exactly for up to 512 different values; more are
    gathered to about so many first, and the result is improved on all entries by Lloyd's algorithm
    (1982, doi:10.1109/TIT.1982.1056489). Nothing is drawn at random.
    """
    tensor = tensor.detach().cpu().double()
    values, counts = tensor.unique(return_counts=True)
    if len(values) > 2**bits:
        points, weights = _gathered(values, counts.double())
        values = _lloyd(values, counts.double(), _optimal(points, weights, 2**bits))
    values = values.float().unique()
    return Codebook(values=values, codes=torch.bucketize(tensor, _edges(values.double())))


def _gathered(values: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Means and weights of bins, cut by a grid, which resolves the tails, and by quantiles, which
    resolve the crowd."""
    if len(values) <= _POINTS:
        return values, counts
    grid = torch.linspace(float(values[0]), float(values[-1]), _POINTS // 2 + 1)[1:-1]
    share = torch.arange(1, _POINTS // 2) / (_POINTS // 2)
    inner = torch.searchsorted(counts.cumsum(0), share * counts.sum())
    cuts = torch.cat([torch.searchsorted(values, grid.to(values.dtype)), inner]).unique()
    return _means(values, counts, cuts)


def _optimal(points: Tensor, weights: Tensor, count: int) -> Tensor:
    """The centroids of the `count` intervals with the least squared error."""
    centred = points - points.mean()  # or the squares below would cancel
    mass, first, second = (_sums(weights * centred**power) for power in range(3))
    width = mass[None] - mass[:, None]
    error = (second[None] - second[:, None]) - (first[None] - first[:, None]) ** 2 / width
    error = torch.where(width > 0, error, torch.where(width == 0, 0.0, torch.inf))
    best, choices = error[0], []
    for _ in range(count - 1):
        best, choice = (best[:, None] + error).min(0)
        choices.append(choice)
    cuts = [len(points)]
    for choice in reversed(choices):
        cuts.append(int(choice[cuts[-1]]))
    return _means(points, weights, torch.tensor(cuts))[0]


def _lloyd(values: Tensor, counts: Tensor, centroids: Tensor) -> Tensor:
    cuts = torch.empty(0)
    for _ in range(_ROUNDS):
        before, cuts = cuts, torch.searchsorted(values, _edges(centroids))
        if torch.equal(before, cuts):
            break
        centroids = _means(values, counts, cuts)[0]
    return centroids


def _means(values: Tensor, counts: Tensor, cuts: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and weight of every piece between the cuts, empty pieces left out."""
    bounds = torch.cat([cuts, torch.tensor([0, len(values)])]).unique()
    mass = _sums(counts)[bounds].diff()
    return _sums(counts * values)[bounds].diff() / mass, mass


def _sums(values: Tensor) -> Tensor:
    return torch.nn.functional.pad(values.cumsum(0), (1, 0))


def _edges(centroids: Tensor) -> Tensor:
    return (centroids[1:] + centroids[:-1]) / 2
