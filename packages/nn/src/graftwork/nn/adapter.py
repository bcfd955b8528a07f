"""The contracts of adapters: what a method has to say, and nothing more."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.nn.site import Site


class Adapter(nn.Module, ABC):
    """What every adapter is: a module built for one site, with its method's settings.

    Built in float32 whatever the backbone's dtype; its output is cast to the layer's.
    `__init__` declares parameters and buffers (all persistent), and draws initial values.
    """

    mergeable: ClassVar[bool] = False

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site

    def start(self, weight: Float[Tensor, "rows cols"]) -> None:
        """Set what depends on the frozen weight. Called on a fresh graft, never on loading."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the adapter computes in."""
        return next(self.parameters()).dtype


class WeightAdapter(Adapter):
    """An adapter that is a function of the frozen weight: W' = effective(W).

    `effective` defines the method. A method may add a fast path by overriding `forward`, which
    must compute the same thing without forming W'.
    """

    mergeable: ClassVar[bool] = True
    additive: ClassVar[bool] = False
    """True when W' - W depends on the adapter alone. A fast path then adds to the layer's output
    whatever that is, and merging commutes with the other additive grafts of the site."""

    @abstractmethod
    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W' from the frozen W, in the dtype of W (at least the adapter's own)."""

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """The layer's new output, given its input x and its frozen output W x (no bias)."""
        weight = self.site.weight()
        wide = torch.promote_types(weight.dtype, self.dtype)
        # Autocast would take the adapter's own arithmetic to half precision.
        with torch.autocast(weight.device.type, enabled=False):
            effective = self.effective(weight.to(wide)).to(weight.dtype)
        return self.site.apply(x, effective)

    @classmethod
    def has_fast_path(cls) -> bool:
        """Whether the method overrides `forward`."""
        return cls.forward is not WeightAdapter.forward


class ActivationAdapter(Adapter):
    """An adapter whose change depends on the layer's input. It cannot be merged."""

    @abstractmethod
    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """The layer's new output, given its input x and its frozen output W x (no bias)."""


class TokenAdapter(Adapter):
    """Learned prompt vectors: rows that an embedding gains for new token ids."""

    first_id: int
    """Token id of the first vector, set when the adapter is grafted."""

    @abstractmethod
    def vectors(self) -> Float[Tensor, "tokens dims"]:
        """The learned vectors, one for each new token."""

    def forward(self, ids: Tensor, frozen: Tensor) -> Tensor:
        """`frozen` with the vectors in the places of the new tokens."""
        vectors = self.vectors().to(frozen.dtype)
        index = ids - self.first_id
        ours = (index >= 0) & (index < len(vectors))
        return torch.where(ours.unsqueeze(-1), vectors[index.clamp(0, len(vectors) - 1)], frozen)
