"""The spectrum of features: how evenly, and how much by the first direction, they are spread.

With sigma_k the singular values of the feature matrix (M, D) of all test images and
p_k = sigma_k / sum sigma,

    SVE  = -sum_k p_k log p_k       singular value entropy
    LSVR = -log p_1                 largest singular value ratio

(Chen et al. 2024, arXiv:2309.17002). The paper finds that slight noise in pre-training raises SVE,
and in-domain accuracy with it, and that any noise raises LSVR, and out-of-domain accuracy falls.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from graftwork.core.config import Ge, config
from graftwork.labels.evaluation import Classifications
from graftwork.labels.gram import Gram
from graftwork.metrics.domains import by_domain
from graftwork.nn.metric import Metric


@config
class SpectrumConfig:
    """Of which matrix singular values are taken."""

    normalisation: Literal["plain", "code"] = "plain"
    """plain: features as they are. code: as in the authors' evaluation, where each row is scaled
    to length 1 and loses its own mean."""

    components: Annotated[int, Ge(1)] | None = None
    """How many of the largest singular values count; absent for all."""


class SingularValueEntropy(Metric):
    """SVE = -sum_k p_k log p_k of the features that the classifier is given."""

    settings: SpectrumConfig

    def __call__(self, evaluation: Classifications) -> dict[str, float]:
        """sve and sve_DOMAIN after a head's change, sve_frozen of the frozen backbone."""
        return _of_both("sve", evaluation, lambda x: entropy(spectrum(x, self.settings)))


class LargestSingularValueRatio(Metric):
    """LSVR = -log p_1 of the features that the classifier is given; the paper wants it low."""

    higher_is_better = False
    settings: SpectrumConfig

    def __call__(self, evaluation: Classifications) -> dict[str, float]:
        """lsvr and lsvr_DOMAIN after a head's change, lsvr_frozen of the frozen backbone."""
        return _of_both("lsvr", evaluation, lambda x: ratio(spectrum(x, self.settings)))


def spectrum(
    features: Float[Tensor, "examples dims"], settings: SpectrumConfig
) -> Float[Tensor, "values"]:
    """p, falling; zeros for features that are all zero."""
    if settings.normalisation == "code":
        unit = functional.normalize(features.double(), dim=1)
        features = unit - unit.mean(dim=1, keepdim=True)
    values = Gram.of(features).singular_values()[: settings.components]
    return values / values.sum().clamp(min=torch.finfo(values.dtype).tiny)


def entropy(shares: Float[Tensor, "values"]) -> float:
    """SVE."""
    return float(-torch.xlogy(shares, shares).sum())


def ratio(shares: Float[Tensor, "values"]) -> float:
    """LSVR; 0 for features that are all zero."""
    return float(-shares[0].log()) if shares[0] > 0 else 0.0


def _of_both(
    name: str, evaluation: Classifications, score: Callable[[Tensor], float]
) -> dict[str, float]:
    judged = evaluation.classified(adapted=True)
    values = by_domain(name, judged, lambda one: score(one.features))
    return values | {f"{name}_frozen": score(judged[0].frozen_features)}
