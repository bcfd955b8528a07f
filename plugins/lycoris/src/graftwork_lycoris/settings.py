"""The settings of every algorithm, made from the arguments of LyCORIS's module for it.

`graftwork_lycoris.settings.lokr` is the settings class of `lycoris/lokr`. Names are LyCORIS's,
but for `lora_dim`, which is `rank` as everywhere in graftwork.
"""

import dataclasses
import functools
import inspect
from typing import Annotated, Any, Literal

from lycoris.wrapper import network_module_dict

from graftwork.core.config import Ge, Search, config
from graftwork_lycoris import catalogue

_HELP = {
    "rank": "Rank of the change; for OFT and BOFT the size of a block, or the number of blocks.",
    "alpha": "The change is scaled by alpha / rank.",
    "use_scalar": "Train one more factor on the whole change, in place of starting at zeros.",
    "weight_decompose": "Train the norms of W' apart from its directions, as DoRA does.",
    "wd_on_out": "Take these norms over each output rather than each input.",
    "rs_lora": "Scale by alpha / sqrt(rank) instead.",
    "decompose_both": "Take both factors of the Kronecker product as low-rank products.",
    "factor": "Size of the small factor of the Kronecker product; -1 is near the square root.",
    "full_matrix": "Take no factor as a low-rank product.",
    "unbalanced_factorization": "Swap the factors of the output dimension.",
    "constraint": "Bound on the size of the rotation for each output; 0 is none.",
    "rescaled": "Train a scale of each output after the rotation.",
    "sig_type": "Which singular vectors of W to start from.",
    "use_data_init": "Start from singular vectors of W rather than of a random matrix.",
}
"""The arguments that are settings. LyCORIS has further ones for dropout, which an effective
weight cannot have, and for convolutions, which LyCORIS does not see here."""

_WITHOUT_RANK = {"rank", "alpha", "use_scalar"}
_IGNORED = {
    "full": _WITHOUT_RANK,
    "diag-oft": {"alpha", "use_scalar"},
    "boft": {"alpha", "use_scalar"},
}
"""Arguments that a module takes and does nothing with."""

_HINTS: dict[str, Any] = {
    "rank": Annotated[int, Ge(1), Search(2, 32, log=True)],
    "alpha": Annotated[float, Search(1.0, 16.0, log=True)],
    "constraint": Annotated[float, Ge(0.0)],
    "sig_type": Literal["principal", "last", "middle"],
}


def __getattr__(name: str) -> type:
    algorithm = name.replace("_", "-")
    if algorithm not in catalogue.working():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return settings_class(algorithm)


@functools.cache
def settings_class(algorithm: str) -> type:
    """The `@config` class of an algorithm."""
    defaults = _defaults(algorithm)
    word = algorithm.replace("-", "_")
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": word,  # where pickle finds it
        "__doc__": f"Settings of LyCORIS's {algorithm}.",
        "__annotations__": {name: _HINTS.get(name, type(defaults[name])) for name in defaults},
    }
    for name, default in defaults.items():
        namespace[name] = dataclasses.field(default=default, metadata={"help": _HELP[name]})
    return config(type(word, (), namespace))


def arguments(settings: Any) -> dict[str, Any]:
    """The settings as LyCORIS's module takes them."""
    values = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
    if "rank" in values:
        values["lora_dim"] = values.pop("rank")
    return values


def _defaults(algorithm: str) -> dict[str, Any]:
    found = {
        "rank" if name == "lora_dim" else name: parameter.default
        for name, parameter in inspect.signature(network_module_dict[algorithm]).parameters.items()
    }
    ignored = _IGNORED.get(algorithm, set())
    chosen = {name: value for name, value in found.items() if name in _HELP.keys() - ignored}
    floats = {name for name in chosen if name in {"alpha", "constraint"}}
    return {name: float(value) if name in floats else value for name, value in chosen.items()}
