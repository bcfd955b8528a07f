"""Many small objects made at once, without Python's garbage collector looking at them."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Put the cyclic garbage collector off, as a context or a decorator.

    Grafting makes tens of Python objects for every layer and throws none away, yet the collector
    would walk them all again and again, which is half of the time on a thousand layers.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
