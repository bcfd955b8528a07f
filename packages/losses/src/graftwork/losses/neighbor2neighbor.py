"""Learning to denoise from noisy clips alone."""

from typing import Annotated, ClassVar

from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import Ge, Search, config
from graftwork.nn.loss import Loss
from graftwork.raw.restoration import RestorationStep


@config
class Neighbor2NeighborConfig:
    """Settings of Neighbor2Neighbor."""

    gamma: Annotated[float, Ge(0), Search(0.5, 4.0)] = 2.0
    """Weight of the second term at the end of training; it grows from 0 in proportion."""


class Neighbor2Neighbor(Loss):
    """mean (f(g₁y) − g₂y)² + γ s · mean (f(g₁y) − g₂y − (g₁f(y) − g₂f(y)))².

    Huang et al. 2021, arXiv:2101.02824, eq. 8, with γ s growing linearly over training (s from 0 to
    1) and γ = 2, as in RViDeformer's unsupervised training (Yue et al. 2023, arXiv:2305.00767).
    g₁y and g₂y are sub-images of neighbouring pixels of the noisy y; f(y) carries no gradient.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"neighbours"})

    def __init__(self, settings: Neighbor2NeighborConfig) -> None:
        super().__init__(settings)
        self.gamma = settings.gamma

    def __call__(self, step: RestorationStep) -> Float[Tensor, ""]:
        """The mean over batch, frames and pixels."""
        if step.half is None or step.frozen_half is None or step.frozen_gap is None:
            raise ValueError("the step holds no sub-images; put 'neighbours' into `needs`")
        gap = step.half - step.frozen_half.detach()
        again = gap - step.frozen_gap.detach()
        return gap.square().mean() + self.gamma * self.progress * again.square().mean()
