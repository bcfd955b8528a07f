"""The decorator that makes a class of settings."""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")

# Read by pydantic from the class; a plain dictionary keeps pydantic itself unimported.
_STRICT: dict[str, Any] = {"strict": True, "extra": "forbid", "allow_inf_nan": False}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(cls: type[_T], /) -> type[_T]:
    """Make ``cls`` a frozen, keyword-only dataclass that `parse` checks strictly.

    A string literal under a field documents it. Checks across fields go into ``__post_init__`` and
    raise ``ValueError("what is wrong; remedy")``.
    """
    made = dataclasses.dataclass(frozen=True, kw_only=True)(cls)
    made.__pydantic_config__ = dict(_STRICT)  # type: ignore[attr-defined]
    return made


def is_config(candidate: Any) -> bool:
    """Whether ``candidate`` is a class made by `config`."""
    return isinstance(candidate, type) and "__pydantic_config__" in vars(candidate)


@config
class NoSettings:
    """The settings of a plugin that has none."""
