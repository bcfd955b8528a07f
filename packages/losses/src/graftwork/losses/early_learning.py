"""Early-learning regularisation: what was predicted early holds against labels learned by heart."""

from collections.abc import Mapping
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from graftwork.core.config import Ge, Lt, Search, config
from graftwork.labels.step import LabelStep
from graftwork.losses.cross_entropy import logits_of
from graftwork.nn.loss import Loss

_CLAMP = 1e-4
"""How near to 0 and 1 a probability counts, as in the authors' code."""


@config
class EarlyLearningConfig:
    """Settings of early-learning regularisation; the defaults are the paper's for ten classes."""

    strength: Annotated[float, Ge(0), Search(0.5, 10.0, log=True)] = 3.0
    """lambda, the weight of the regulariser beside the cross-entropy."""

    momentum: Annotated[float, Ge(0), Lt(1), Search(0.5, 0.99)] = 0.7
    """beta, how much of an example's target stays in a step."""


class EarlyLearning(Loss):
    """CE + lambda mean log(1 - <p, t>), t <- beta t + (1 - beta) p  (Liu et al. 2020,
    arXiv:2007.00151, equations 6 and 9).

    Every example has a target t of its own, zero at first, in which no gradient flows. It moves
    once in a step (steps are told apart by `progress`), and is kept in checkpoints.
    """

    settings: EarlyLearningConfig

    def __init__(self, settings: EarlyLearningConfig) -> None:
        super().__init__(settings)
        self.targets: Tensor | None = None
        """t of every example, (examples, classes)."""
        self.moved: Tensor | None = None
        """The `progress` at which each example's target moved last; -1 before."""

    def __call__(self, step: LabelStep) -> Float[Tensor, ""]:
        """The loss of one step; the targets of its examples move."""
        logits = logits_of(step, "early-learning")
        shares = logits.softmax(dim=1).clamp(_CLAMP, 1 - _CLAMP)
        agreement = (shares * self._moved(step, shares.detach())).sum(dim=1)
        regulariser = torch.log1p(-agreement).mean()
        return functional.cross_entropy(logits, step.labels) + self.settings.strength * regulariser

    def state(self) -> Mapping[str, Tensor]:
        """The targets, and when they moved."""
        if self.targets is None or self.moved is None:
            return {}
        return {"targets": self.targets, "moved": self.moved}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from kept targets."""
        self.targets, self.moved = tensors.get("targets"), tensors.get("moved")

    def _moved(
        self, step: LabelStep, shares: Float[Tensor, "batch classes"]
    ) -> Float[Tensor, "batch classes"]:
        if self.targets is None or self.moved is None:
            self.targets = shares.new_zeros(step.examples, shares.shape[1])
            self.moved = torch.full((step.examples,), -1.0, dtype=torch.float64)
        self.targets = self.targets.to(shares)
        self.moved = self.moved.to(shares.device)
        due = self.moved[step.indices] != self.progress
        before, beta = self.targets[step.indices], self.settings.momentum
        after = beta * before + (1 - beta) * shares / shares.sum(dim=1, keepdim=True)
        self.targets[step.indices] = torch.where(due[:, None], after, before)
        self.moved[step.indices] = self.progress
        return self.targets[step.indices]
