"""What all adapters made of PEFT's methods have in common."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import Site
from graftwork.nn.adapter import Adapter
from graftwork.nn.stand_in import SiteLinear
from graftwork_peft.allocating import allocates, follow
from graftwork_peft.injecting import Injected, inject
from graftwork_peft.settings import peft_config
from graftwork_peft.special import special


class Tuned(Adapter):
    """An adapter that holds PEFT's layer for its site.

    Where the layers of a method share tensors, PEFT makes all of a graft at once: initial values
    then depend on the sites together, and what is shared lies with the first site that has it.
    """

    method: ClassVar[str]
    """PEFT's name of the method."""
    joint: ClassVar[bool]
    """Whether PEFT has to see all sites of a graft at once."""
    tuner: nn.Module
    """PEFT's layer, on a `SiteLinear` that stands for the site."""
    lent: tuple[nn.Module, ...] = ()
    """What the layer uses and does not hold."""

    def __init__(self, site: Site, settings: Any) -> None:
        super().__init__(site)
        self.check_site(site, settings)
        self.settings = settings
        if not self.joint:
            made = inject(self.method, peft_config(self.method, settings), {site.name: site})
            self.tuner = made.layers[site.name]

    @classmethod
    def check_site(cls, site: Site, settings: Any) -> None:
        """Refuse a site on which the settings cannot be kept."""

    @classmethod
    def join(cls, adapters: Mapping[str, Adapter]) -> None:
        """Let PEFT see all sites at once, where it has to."""
        if not cls.joint:
            return
        first: Any = next(iter(adapters.values()))
        sites = {name: adapter.site for name, adapter in adapters.items()}
        made = inject(cls.method, peft_config(cls.method, first.settings), sites)
        for name, adapter in adapters.items():
            _hand_over(made, name, adapter)
        if len(made.common):
            first.common = made.common
        if allocates(made.tuner):
            first.step = follow(made.tuner)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the adapter computes in."""
        return next(self.inputs()).dtype

    def inputs(self) -> Iterator[nn.Parameter]:
        """Every parameter that the output depends on, shared ones included, once."""
        return nn.ModuleList((self.tuner, *self.lent)).parameters()

    def run(self, x: Tensor) -> Tensor:
        """PEFT's layer on an input."""
        return special(self.method).call(self.tuner, x)

    @property
    def base(self) -> SiteLinear:
        """What stands for the site under PEFT's layer."""
        base = self.tuner.base_layer
        assert isinstance(base, SiteLinear)
        return base


def as_sequences(x: Tensor) -> Tensor:
    """Features with one axis of places at most, for PEFT's layers know sequences: GraLoRA refuses
    an input of four axes, and OFT takes one for a picture."""
    return x.flatten(1, -2) if x.dim() > 3 else x


def _hand_over(made: Injected, name: str, adapter: Any) -> None:
    adapter.tuner = made.layers[name]
    adapter.lent = (*made.lent[name], *made.common.values())


def refuse_dropout(method: str, site: Site, settings: Any) -> None:
    """Refuse dropout where PEFT's forward pass, which has it, is not what computes the output."""
    if site.kind == "linear" and site.observable:
        return
    for name, value in vars(settings).items():
        if name.endswith("dropout") and value:
            raise GraftworkError(
                f"adapter.{name}: peft/{method} has dropout on linear layers alone, and "
                f"'{site.name}' is none; set it to 0 or leave the site out"
            )
