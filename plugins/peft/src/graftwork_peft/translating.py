"""From a field of PEFT's configuration to a setting: its type, its bounds, its search range."""

import enum
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from graftwork.core.config import Ge, Lt, Search

_PLAIN = (bool, int, float, str)


def expressible(hint: Any) -> Any:
    """The part of a type that a run file can write; None if there is none.

    Lists become tuples and enumerations the words they stand for. Tables of any shape and
    nested configurations are left out.

    >>> expressible(list[int] | dict | None)
    tuple[int, ...] | None
    """
    if hint in _PLAIN or hint is type(None):
        return hint
    if get_origin(hint) is Literal:
        return hint
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Literal[tuple(str(member.value) for member in hint)]
    if get_origin(hint) in (list, set):
        [inner] = map(expressible, get_args(hint))
        return None if inner is None else types.GenericAlias(tuple, (inner, ...))
    if get_origin(hint) in (Union, types.UnionType):
        return _union(get_args(hint))
    return None


def present(hint: Any) -> Any:
    """The type without None: a file has no word for it, and so could not keep it apart from a
    default."""
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    return Union[tuple(part for part in get_args(hint) if part is not type(None))]  # noqa: UP007


def bounded(name: str, hint: Any, default: Any) -> Any:
    """The type with bounds and a search range, where name and default tell them.

    A rank, a scale or a count is searched from a quarter to four times its default, on a
    logarithmic scale; a dropout from 0 to 0.3.
    """
    if name.endswith("dropout"):
        return Annotated[hint, Ge(0.0), Lt(1.0), Search(0.0, 0.3)]
    if name == "rank" and hint is int:
        return _counted(default)
    if hint is int and _is_scale(name) and default > 1:
        return Annotated[int, Ge(1), _around(default)]
    if hint is float and _is_scale(name) and default > 0.0:
        return Annotated[float, _around(default)]
    return hint


def _union(parts: tuple[Any, ...]) -> Any:
    known = [made for part in parts if (made := expressible(part)) is not None]
    if str in known and any(get_origin(part) is Literal for part in known):
        known.remove(str)  # it stands beside an enumeration, to take its members' names
    if not known or known == [type(None)]:
        return None
    return Union[tuple(known)]  # noqa: UP007  # of as many as there are


def _counted(default: int) -> Any:
    # OFT's rank 0 says that the block size decides.
    return Annotated[int, Ge(1), _around(default)] if default else Annotated[int, Ge(0)]


def _is_scale(name: str) -> bool:
    return name in {"alpha", "scaling", "n_frequency", "num_vectors", "theta_d_length"}


def _around(default: float) -> Search:
    low = max(1, default // 4) if isinstance(default, int) else default / 4
    return Search(low, 4 * default, log=True)
