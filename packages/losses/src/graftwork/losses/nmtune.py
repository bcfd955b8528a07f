"""NMTune: keep the features of a noisily pre-trained model, and smooth their spectrum.

With F the frozen features of a batch, (M, D), and Z what a head makes of them,

    L_MSE = |Z / |Z| - F / |F||^2, row by row                    (consistency)
    L_COV = 1/D sum_{i != j} C_ij^2,  C = cov(Z) over M - 1      (covariance)
    L_SVD = -sigma_1 / sum_k sigma_k                             (dominant singular value)

(Chen et al. 2024, arXiv:2309.17002). The two readings differ:

|             | "paper"                          | "code"                                  |
|-------------|----------------------------------|-----------------------------------------|
| consistency | sum over D, mean over M          | mean over M and D                       |
| dominant    | of the largest singular value    | mean of the five largest                |
| weights     | 0.01 each                        | 1, 0.04 and 0.001                       |

The authors' code is github.com/Hhhhhhao/Noisy-Model-Learning. It takes the dominance of two views
of each image; here Z is one, and its dominance counts once.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Ge, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.labels.gram import Gram
from graftwork.labels.step import LabelStep
from graftwork.nn.loss import Loss

Reading = Literal["code", "paper"]


@dataclass(frozen=True, kw_only=True)
class _Meaning:
    weights: tuple[float, float, float]
    """Of consistency, covariance and dominance."""
    mean_over_features: bool
    largest: int
    """How many singular values count as dominant."""


_MEANINGS = {
    "code": _Meaning(weights=(1.0, 0.04, 0.001), mean_over_features=True, largest=5),
    "paper": _Meaning(weights=(0.01, 0.01, 0.01), mean_over_features=False, largest=1),
}


@config
class NMTuneConfig:
    """Settings of NMTune's regulariser."""

    reading: Literal["code", "paper"] = "code"
    """Whose definitions and weights: those of the authors' code, or of the paper."""

    consistency: Annotated[float, Ge(0), Search(0.01, 10.0, log=True)] | None = None
    """Weight of the distance to the frozen features; absent for that of the reading."""

    covariance: Annotated[float, Ge(0), Search(0.001, 1.0, log=True)] | None = None
    """Weight of the covariance between features; absent for that of the reading."""

    dominance: Annotated[float, Ge(0), Search(0.0001, 0.1, log=True)] | None = None
    """Weight of the dominant singular value, which is made larger; absent for that of the
    reading."""


class NMTune(Loss):
    """The three terms of NMTune with their weights; put a `cross-entropy` beside it.

    Covariance and singular values are read off one Gram matrix of the smaller side of Z, in
    float64 (`graftwork.labels.gram`).
    """

    needs = frozenset({"features"})
    settings: NMTuneConfig

    def __init__(self, settings: NMTuneConfig) -> None:
        super().__init__(settings)
        self.meaning = _MEANINGS[settings.reading]
        own = (settings.consistency, settings.covariance, settings.dominance)
        pairs = zip(own, self.meaning.weights, strict=True)
        self.weights = tuple(usual if given is None else given for given, usual in pairs)

    def __call__(self, step: LabelStep) -> Float[Tensor, ""]:
        """The regulariser of one step.

        Raises:
            GraftworkError: the step was made without features, or the head changes their width.
        """
        features, frozen = _pair(step)
        total = features.new_zeros(())
        consistent, covariant, dominant = self.weights
        if consistent:
            total = total + consistent * consistency(
                features, frozen.detach(), mean=self.meaning.mean_over_features
            )
        if covariant or dominant:
            gram = Gram.of(features)
            terms = covariant * gram.covariance() - dominant * gram.share(self.meaning.largest)
            total = total + terms.to(total.dtype)
        return total


def consistency(
    features: Float[Tensor, "batch dims"], frozen: Float[Tensor, "batch dims"], *, mean: bool
) -> Float[Tensor, ""]:
    """Squared distance of normalised rows, averaged over the rows: their mean, or their sum."""
    squared = (_unit(features) - _unit(frozen)).square()
    return squared.mean() if mean else squared.sum(dim=1).mean()


def _unit(rows: Float[Tensor, "batch dims"]) -> Float[Tensor, "batch dims"]:
    """Rows of length 1; one of zeros has no direction, stays, and is given no gradient."""
    lengths = rows.norm(dim=1, keepdim=True)
    has = lengths > 0
    return torch.where(has, rows / torch.where(has, lengths, 1.0), 0.0)


def _pair(step: LabelStep) -> tuple[Tensor, Tensor]:
    if step.features is None or step.frozen_features is None:
        raise GraftworkError("loss.nmtune: needs 'features' of the backbone")
    if step.features.shape != step.frozen_features.shape:
        raise GraftworkError(
            f"loss.nmtune: the head gives {step.features.shape[1]} features for the backbone's "
            f"{step.frozen_features.shape[1]}, which cannot be compared; choose nmtune-head"
        )
    return step.features, step.frozen_features
