"""What depends on shapes alone: made once for each shape, device and dtype.

It is no part of a model: no state dict holds it, and no training makes it stale.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_KEPT = 256


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the latest tensors that a function made of shapes.

    What is made under `torch.inference_mode` could never be used in training, and is therefore
    made outside it. While torch.compile traces, the function itself is called, and its tensors
    are part of the graph.
    """

    @lru_cache(maxsize=_KEPT)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False), torch.no_grad():
            return function(*args, **kwargs)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        return remembered(*args, **kwargs)  # type: ignore[arg-type]

    return call


def constant(function: Callable[P, R]) -> Callable[P, R]:
    """Keep the latest results, without tensors, of a function of shapes.

    torch.compile takes them for constants of its graph, and so does not trace how they came about.
    """
    remembered = lru_cache(maxsize=_KEPT)(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return remembered(*args, **kwargs)  # type: ignore[arg-type]

    # All that torch.compiler.assume_constant_result does; but that imports the whole compiler.
    call._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return call
