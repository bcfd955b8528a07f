"""The type checker that jaxtyping puts around every function while tests run.

pytest is called with `--jaxtyping-packages=...,shapes.checked`.
"""

import typing
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintException

# Where a float is asked for, an int will do, as static checkers have it.
strictly = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """beartype, save where hints mean nothing at run time, or checks mean nothing.

    Hints: names imported for static checkers alone, and `Self`, which beartype knows only when it
    sees the whole class. Checks: while torch.compile traces, there are no values to look at.
    """
    try:
        typing.get_type_hints(function)
        strict = strictly(function)
    except (NameError, BeartypeDecorHintException):
        return function

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        chosen = function if torch.compiler.is_compiling() else strict
        return chosen(*args, **kwargs)

    return call
