"""Importing an object by its name, with an error that says what to install."""

from importlib import import_module
from typing import Any

from graftwork.core.errors import GraftworkError, one_line
from graftwork.core.nearest import nearest


def import_target(target: str, /, *, place: str, install: str = "") -> Any:
    """The object at ``"package.module:Object"``.

    ``place`` begins the error; ``install`` is the requirement that brings the code's dependencies.
    """
    module_name, _, path = target.partition(":")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        raise GraftworkError(f"{place}: {_missing(error, install)}") from error
    except Exception as error:
        raise GraftworkError(
            f"{place}: {module_name} fails to import ({one_line(error)}); "
            f"update or reinstall {install or module_name.partition('.')[0]}"
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise GraftworkError(f"{place}: {_absent(found, part, target)}")
        found = getattr(found, part)
    return found


def _absent(owner: Any, part: str, target: str) -> str:
    close = nearest(part, dir(owner))  # everything else it holds would be no help
    remedy = f"did you mean {close!r}?" if close else "is the package it comes from up to date?"
    return f"{target}: there is no {part!r}; {remedy}"


def _missing(error: ImportError, install: str) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        remedy = install or error.name.partition(".")[0]
        return f"module {error.name!r} is not installed; run: pip install '{remedy}'"
    remedy = f"pip install --upgrade '{install}'" if install else "update the package it comes from"
    return f"cannot import it ({one_line(error)}); run: {remedy}"
