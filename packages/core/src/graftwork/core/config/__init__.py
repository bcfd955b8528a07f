"""Settings: one frozen dataclass declares type, bound, search range and documentation.

>>> from typing import Annotated
>>> from graftwork.core.config import Ge, Search, config, parse
>>> @config
... class LoRAConfig:
...     rank: Annotated[int, Ge(1), Search(4, 64, log=True)] = 8
>>> parse(LoRAConfig, {"rank": 4}, "run.toml: adapter")
LoRAConfig(rank=4)

Importing this imports no pydantic; checking does, on first use.
"""

from typing import TYPE_CHECKING, Any

from graftwork.core.config.declare import NoSettings, config
from graftwork.core.config.describing import Setting, as_dict, describe
from graftwork.core.config.jsonschema import schema
from graftwork.core.config.parsing import parse
from graftwork.core.config.search import Search

if TYPE_CHECKING:
    from annotated_types import Ge, Gt, Le, Lt

__all__ = [
    "Ge",
    "Gt",
    "Le",
    "Lt",
    "NoSettings",
    "Search",
    "Setting",
    "as_dict",
    "config",
    "describe",
    "parse",
    "schema",
]


def __getattr__(name: str) -> Any:
    # annotated_types costs more to import than the rest of this package together.
    if name in {"Ge", "Gt", "Le", "Lt"}:
        import annotated_types

        return getattr(annotated_types, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
