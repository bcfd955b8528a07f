"""Branches of guidance: grafts that act on one side of it alone.

Guidance predicts twice, under the prompt (the positive branch) and under the negative prompt.
DreamArtist++ (HCP-Diffusion, after Dong et al. 2022, arXiv:2211.11337) gives each branch a LoRA of
its own: set `Graft.branch`, and a backbone that can (`Backbone.branches`) runs the two branches
apart.

Graftwork's own files keep the branch. Other tools' formats, and weights, have no place for it.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

from torch import nn

from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.nn.handle import Branch, Graft, grafts


def branched(model: nn.Module) -> bool:
    """Whether some graft acts on one branch alone, so that the two cannot share a batch."""
    return any(h.branch != "both" for h in grafts(model).values() if h.enabled and h.weight)


@contextlib.contextmanager
def acting_on(model: nn.Module, branch: Branch) -> Iterator[None]:
    """Without the grafts of the other branch, for the length of a `with` block."""
    with contextlib.ExitStack() as stack:
        for handle in grafts(model).values():
            if handle.branch not in ("both", branch):
                stack.enter_context(handle.disabled())
        yield


def shared(handles: Sequence[Graft]) -> Branch:
    """The branch that some grafts have in common, for what is to take their place.

    Raises:
        GraftworkError: they act on different ones.
    """
    first = handles[0]
    for other in handles[1:]:
        if other.branch != first.branch:
            raise GraftworkError(
                f"branch: '{first.name}' acts on {first.branch} and '{other.name}' on "
                f"{other.branch}, which one adapter cannot; take those of one branch together"
            )
    return first.branch


def tell_lost(handle: Graft) -> None:
    """Warn that a file of another tool does not keep the branch of a graft, if it has one."""
    if handle.branch != "both":
        warnings.warn(
            f"this adapter acts on the {handle.branch} branch of guidance alone, which the file "
            "cannot say: where it is loaded it acts on both, unless the host can be told otherwise",
            GraftworkWarning,
            stacklevel=3,
        )
