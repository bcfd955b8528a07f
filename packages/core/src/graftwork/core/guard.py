"""Keeps a failing plugin from stopping the host."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from graftwork.core.errors import GraftworkError
from graftwork.core.records import RECORDS, Record


class Guarded:
    """Stands in for a plugin: the same hook functions, each watched.

    An exception is reported once through ``failed`` and the plugin stays silent from then on. A
    `GraftworkError` passes outside registration hooks: it is how a plugin stops a run on purpose.
    Records come out stamped with ``provider``. Hook wrappers are left as they are.
    """

    def __init__(
        self,
        hooks: dict[str, Callable[..., Any]],
        *,
        provider: str,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self.provider = provider
        self.failed = failed
        self.silent = False
        for name, function in hooks.items():
            # In the instance's dictionary, where pluggy looks for hook implementations.
            setattr(self, name, self._watched(name, function))

    def _watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        options: dict[str, Any] = getattr(function, "graftwork_impl", None) or {}
        if options.get("wrapper") or options.get("hookwrapper"):
            return function
        hook: str = options.get("specname") or name

        @functools.wraps(function)  # pluggy reads argument names and options through it
        def watched(*args: Any, **kwargs: Any) -> Any:
            return None if self.silent else self._call(hook, function, args, kwargs)

        return watched

    def _call(self, hook: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
            return stamped(result, kind=hook, provider=self.provider) if hook in RECORDS else result
        except (Exception, SystemExit) as error:
            if isinstance(error, GraftworkError) and hook not in RECORDS:
                raise
            self.silent = True
            self.failed(hook, error)
            return None


def stamped(records: Iterable[Record] | None, /, *, kind: str, provider: str) -> tuple[Record, ...]:
    """The records of one registration hook with their provider filled in.

    Raises ``TypeError`` when something else than records of that kind comes out.
    """
    wanted = RECORDS[kind]
    listed = () if records is None else tuple(_iterable(records, wanted))
    for record in listed:
        if not isinstance(record, wanted):
            raise TypeError(f"{kind}() gave {record!r}; it must give {wanted.__name__} records")
    return tuple(replace(record, provider=provider) for record in listed)


def _iterable(records: Iterable[Record], wanted: type[Record]) -> Iterable[Record]:
    if not isinstance(records, Iterable):
        raise TypeError(f"returned {records!r}; it must return a list of {wanted.__name__} records")
    return records
