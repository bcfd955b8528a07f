"""PEFT's methods as adapters: `graftwork_peft.adapters.vera` is the class of `peft/vera`."""

import functools

from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from peft.utils import PeftType

from graftwork_peft import catalogue
from graftwork_peft.activation import PeftActivation
from graftwork_peft.special import special
from graftwork_peft.tuned import Tuned
from graftwork_peft.weight import PeftWeight


def __getattr__(name: str) -> type[Tuned]:
    if name not in catalogue.injectable():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return adapter_class(name)


@functools.cache
def adapter_class(method: str) -> type[Tuned]:
    """The adapter class of a method."""
    kind = PeftType(method.upper())
    shares = PEFT_TYPE_TO_TUNER_MAPPING[kind].uses_shared_state
    namespace = {
        "__module__": __name__,
        "__qualname__": method,  # where pickle finds it
        "__doc__": f"PEFT's {method}; see `peft.{PEFT_TYPE_TO_CONFIG_MAPPING[kind].__name__}`.",
        "method": method,
        "joint": shares or special(method).joint,
    }
    on_weight = method not in catalogue.ACTIVATION
    return type(method, (PeftWeight if on_weight else PeftActivation,), namespace)
