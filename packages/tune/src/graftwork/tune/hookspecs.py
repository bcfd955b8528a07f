"""The hook that this distribution adds."""

from typing import TYPE_CHECKING

import pluggy

from graftwork.core.hookspecs import PROJECT

if TYPE_CHECKING:
    from graftwork.tune.progress import SearchState

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def search_progress(state: "SearchState") -> None:
    """A trial started, reported, stopped or failed; called in the driver.

    Example::

        @hookimpl
        def search_progress(state):
            print(f"{state.done} of {state.total} trials")
    """
