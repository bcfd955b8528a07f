"""Branches of guidance: grafts that act on one side of it alone.

Guidance predicts twice, under the prompt (the positive branch) and under the negative prompt.
DreamArtist++ (HCP-Diffusion, after Dong et al. 2022, arXiv:2211.11337) gives each branch a LoRA of
its own: set `Graft.branch`, and a backbone runs the two branches apart.
"""

import contextlib
from collections.abc import Iterator

from torch import nn

from graftwork.nn.handle import Branch, grafts


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
