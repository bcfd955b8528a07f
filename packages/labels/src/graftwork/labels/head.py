"""Heads: adapters that take the place of a backbone's last linear layer."""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import ActivationAdapter, Site, grafts


class Head(ActivationAdapter):
    """logits = V Z + c with Z = transform(F), in place of the frozen W F.

    V starts as W, where the backbone has a classifier of its own and the features keep their
    width; elsewhere from Kaiming's uniform values, and c from zeros. It does not merge, for the
    layer that it sits on may have no bias, and the transform is none of its weights.
    """

    transform: nn.Module
    """From the features F, (examples, cols), to Z."""
    classifier: nn.Linear
    """V and c."""

    def __init__(self, site: Site, settings: Any) -> None:
        super().__init__(site)
        if site.kind != "linear" or site.part:
            raise GraftworkError(
                f"sites: '{site.name}' is no plain linear layer, which a head takes the place of; "
                "leave `sites` out for the backbone's classifier"
            )
        self.transform, width = self.build(site.cols, settings)
        self.classifier = nn.Linear(width, site.rows)
        nn.init.kaiming_uniform_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    @abstractmethod
    def build(self, dims: int, settings: Any) -> tuple[nn.Module, int]:
        """The transform of features of `dims` values, and how many values it gives."""

    def start(self, weight: Float[Tensor, "rows cols"]) -> None:
        """Begin with the backbone's own classifier, if it has one."""
        own = self.classifier.weight
        if weight.shape == own.shape:
            with torch.no_grad():
                own.copy_(torch.where(weight.any(), weight, own))

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """V transform(x) + c, in the dtype of the frozen output."""
        features = x.reshape(-1, x.shape[-1])
        with torch.autocast(x.device.type, enabled=False):
            made = self.classifier(self.transform(features.to(self.dtype)))
        return made.reshape(*x.shape[:-1], -1).to(frozen.dtype)


def head_on(module: nn.Module, site: str) -> Head | None:
    """The head that acts on a site of a model; None where none does.

    Raises:
        GraftworkError: several do.
    """
    acting = [one for one in grafts(module).values() if one.enabled and one.weight]
    found = [one.sites[site] for one in acting if isinstance(one.sites.get(site), Head)]
    if len(found) > 1:
        raise GraftworkError(f"adapter: {len(found)} heads sit on '{site}'; keep one")
    return next((one for one in found if isinstance(one, Head)), None)


@contextmanager
def watched(head: Head | None) -> Iterator[list[Tensor]]:
    """Collect the Z of every forward pass of a head in the block, gradients included."""
    seen: list[Tensor] = []
    if head is None:
        yield seen
        return
    hook = head.transform.register_forward_hook(lambda module, args, made: seen.append(made))
    try:
        yield seen
    finally:
        hook.remove()
