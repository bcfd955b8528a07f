"""LyCORIS's algorithms as adapters: `graftwork_lycoris.adapters.lokr` is `lycoris/lokr`.

LyCORIS sees every site as a linear layer on the site's matrix W. The effective weight is what its
module makes of the identity matrix: W' I. Its own `get_merged_weight` is not used, for in LoHa and
LoKr that applies alpha / rank twice and so is not what the module computes in training.
"""

import functools
from typing import Any, ClassVar

from jaxtyping import Float
from lycoris.modules.base import LycorisBaseModule
from lycoris.wrapper import network_module_dict
from torch import Tensor

from graftwork.core.errors import GraftworkError, one_line
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.stand_in import SiteLinear, made_in_earnest, plain_linear
from graftwork_lycoris import catalogue
from graftwork_lycoris.settings import arguments


class LycorisAdapter(WeightAdapter):
    """An algorithm of LyCORIS as a function of the weight."""

    algorithm: ClassVar[str]
    """LyCORIS's name of the algorithm."""

    def __init__(self, site: Site, settings: Any) -> None:
        super().__init__(site)
        with made_in_earnest(site):
            self.module = _module(self.algorithm, site, settings)
        self.base = SiteLinear(site)
        self.module.org_module = [self.base]
        self.module.org_forward = self.base.forward

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W' I."""
        return self.base.of_identity(weight, self.module)


def __getattr__(name: str) -> type[LycorisAdapter]:
    algorithm = name.replace("_", "-")
    if algorithm not in catalogue.working():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return adapter_class(algorithm)


@functools.cache
def adapter_class(algorithm: str) -> type[LycorisAdapter]:
    """The adapter class of an algorithm."""
    word, module = algorithm.replace("-", "_"), network_module_dict[algorithm].__name__
    namespace = {
        "__module__": __name__,
        "__qualname__": word,  # where pickle finds it
        "__doc__": f"LyCORIS's {algorithm}; see its `{module}`.",
        "algorithm": algorithm,
    }
    return type(word, (LycorisAdapter,), namespace)


def _module(algorithm: str, site: Site, settings: Any) -> LycorisBaseModule:
    try:
        return _raw(algorithm)("", plain_linear(site), **arguments(settings))
    except (ValueError, TypeError, AssertionError, NotImplementedError, RuntimeError) as error:
        raise GraftworkError(
            f"lycoris/{algorithm}: {site.name}: {one_line(error)}; change the setting, or leave "
            "such sites out"
        ) from error


@functools.cache
def _raw(algorithm: str) -> type[LycorisBaseModule]:
    """LyCORIS's module with torch's own `state_dict`: every tensor as it is, read and written.

    LyCORIS multiplies trained scalars into what it writes, and resets them whenever it reads.
    """
    plain = {
        "custom_state_dict": lambda module: None,
        "load_weight_prehook": lambda module, *args: None,
        "load_weight_hook": lambda module, *args: None,
    }
    cls = network_module_dict[algorithm]
    return type(cls.__name__, (cls,), plain)
