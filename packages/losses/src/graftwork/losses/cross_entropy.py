"""Cross-entropy, and relatives that wrong labels mislead less."""

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from graftwork.core.config import Ge, Gt, Le, Lt, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.labels.step import LabelStep
from graftwork.nn.loss import Loss


def logits_of(step: LabelStep, loss: str) -> Float[Tensor, "batch classes"]:
    """The logits of a step. Raises `GraftworkError`, naming the loss, where it has none."""
    if step.logits is None:
        raise GraftworkError(f"loss.{loss}: needs 'prediction' of the backbone")
    return step.logits


def likelihoods(step: LabelStep, loss: str) -> Float[Tensor, "batch"]:
    """log p_y, the log-likelihood of each label."""
    logged = torch.log_softmax(logits_of(step, loss), dim=1)
    return logged.gather(1, step.labels[:, None])[:, 0]


@config
class CrossEntropyConfig:
    """Settings of the cross-entropy."""

    label_smoothing: Annotated[float, Ge(0), Lt(1), Search(0.0, 0.3)] = 0.0
    """Share of each label that is spread evenly over the classes (Szegedy et al. 2016,
    arXiv:1512.00567)."""


class CrossEntropy(Loss):
    """-mean log p_y, with p = softmax(logits) and y the label.

    With label smoothing s the target is (1 - s) onehot(y) + s / K over K classes.
    """

    settings: CrossEntropyConfig

    def __call__(self, step: LabelStep) -> Float[Tensor, ""]:
        """The loss of one step."""
        logits = logits_of(step, "cross-entropy")
        smoothing = self.settings.label_smoothing
        return functional.cross_entropy(logits, step.labels, label_smoothing=smoothing)


@config
class GeneralizedCrossEntropyConfig:
    """Settings of the generalised cross-entropy."""

    q: Annotated[float, Gt(0), Le(1), Search(0.1, 1.0)] = 0.7
    """1 for the mean absolute error; towards 0 it becomes the cross-entropy."""


class GeneralizedCrossEntropy(Loss):
    """mean (1 - p_y^q) / q  (Zhang and Sabuncu 2018, arXiv:1805.07836, equation 6)."""

    settings: GeneralizedCrossEntropyConfig

    def __call__(self, step: LabelStep) -> Float[Tensor, ""]:
        """The loss of one step."""
        q = self.settings.q
        # expm1: as exact where p_y is near 1, and for small q.
        return -torch.expm1(q * likelihoods(step, "generalized-cross-entropy")).mean() / q


@config
class SymmetricCrossEntropyConfig:
    """Settings of the symmetric cross-entropy; the defaults are the paper's for ten classes."""

    alpha: Annotated[float, Ge(0), Search(0.01, 10.0, log=True)] = 0.1
    """Weight of the cross-entropy."""

    beta: Annotated[float, Gt(0), Search(0.01, 10.0, log=True)] = 1.0
    """Weight of the reverse cross-entropy."""

    log_zero: Annotated[float, Lt(0)] = -4.0
    """A, what stands for the logarithm of a label's zeros."""


class SymmetricCrossEntropy(Loss):
    """alpha CE + beta RCE, RCE = -sum_k p_k log onehot(y)_k with log 0 = A, which is -A (1 - p_y)
    (Wang et al. 2019, arXiv:1908.06112, equations 5 to 7)."""

    settings: SymmetricCrossEntropyConfig

    def __call__(self, step: LabelStep) -> Float[Tensor, ""]:
        """The loss of one step."""
        logged, own = likelihoods(step, "symmetric-cross-entropy"), self.settings
        reverse = own.log_zero * torch.expm1(logged)
        return (own.beta * reverse - own.alpha * logged).mean()
