"""How often the right class is seen, and how well its probability says so."""

from typing import Annotated, Literal

from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_calibration_error,
)

from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.labels.evaluation import Classifications, Classified
from graftwork.metrics.domains import by_domain
from graftwork.nn.metric import Metric


@config
class AccuracyConfig:
    """How right answers are counted."""

    average: Literal["micro", "macro"] = "micro"
    """micro: over all images. macro: over classes, each by its own images."""

    top: Annotated[int, Ge(1)] = 1
    """Among how many of the likeliest classes the right one has to be."""


class Accuracy(Metric):
    """Share of images whose class is seen, by torchmetrics."""

    settings: AccuracyConfig

    def __call__(self, evaluation: Classifications) -> dict[str, float]:
        """accuracy, accuracy_ood and accuracy_DOMAIN of each other domain.

        Raises:
            GraftworkError: there are fewer classes than `top`.
        """
        return by_domain("accuracy", evaluation.classified(adapted=True), self._score)

    def _score(self, one: Classified) -> float:
        classes, own = one.logits.shape[1], self.settings
        if own.top > classes:
            raise GraftworkError(
                f"metric.accuracy.top: {own.top} is more than the {classes} classes; lower it"
            )
        found = multiclass_accuracy(
            one.logits, one.labels, classes, average=own.average, top_k=own.top
        )
        return float(found)


@config
class CalibrationConfig:
    """How calibration is measured."""

    bins: Annotated[int, Ge(2)] = 15
    """Into how many equal ranges probabilities are sorted."""

    norm: Literal["l1", "l2", "max"] = "l1"
    """l1: the expected calibration error (Naeini et al. 2015). max: the largest of any range."""


class CalibrationError(Metric):
    """Gap between the probability of what is seen and how often it is right, by torchmetrics.

    Guo et al. 2017, arXiv:1706.04599.
    """

    higher_is_better = False
    settings: CalibrationConfig

    def __call__(self, evaluation: Classifications) -> dict[str, float]:
        """calibration-error, calibration-error_ood and calibration-error_DOMAIN."""
        return by_domain("calibration-error", evaluation.classified(adapted=True), self._score)

    def _score(self, one: Classified) -> float:
        shares, own = one.logits.softmax(dim=1), self.settings
        found = multiclass_calibration_error(
            shares, one.labels, shares.shape[1], n_bins=own.bins, norm=own.norm
        )
        return float(found)
