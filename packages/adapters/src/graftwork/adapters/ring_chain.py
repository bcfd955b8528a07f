"""T M by the chain of steps of a tensor-ring matrix T, and its gradient.

With n vectors as columns, every step is a product whose long side lies contiguous. A step widens
the vectors R^2-fold, so a caller takes columns in blocks whose states stay near a core's cache.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.adapters.ring_steps import Steps, ring_steps

# Elements of the widest state of a block; an accelerator wants fewer launches.
_BLOCK = 2**19
_ACCELERATOR_BLOCK = 2**26


def blocks(x: Float[Tensor, "n cols"], steps: Steps) -> Iterator[slice]:
    """Ranges of rows of x whose states are small."""
    limit = _BLOCK if x.device.type == "cpu" else _ACCELERATOR_BLOCK
    size = max(32, limit // (x.shape[1] * len(steps[-1]) ** 2))
    return (slice(start, start + size) for start in range(0, len(x), size))


def chain(steps: Steps, columns: Float[Tensor, "cols n"]) -> Float[Tensor, "rows n"]:
    """T M for the columns M."""
    last, parts = steps[-1], _states(steps, columns)[-1]
    total = torch.bmm(_repeated(last[0], parts[0]), parts[0])
    for step, part in zip(last[1:], parts[1:], strict=True):
        total = torch.baddbmm(total, _repeated(step, part), part)
    return total.view(-1, columns.shape[1])


def chain_gradients(
    steps: Steps,
    columns: Float[Tensor, "cols n"],
    grad: Float[Tensor, "rows n"],
    totals: Sequence[Tensor],
) -> Float[Tensor, "cols n"]:
    """Add the gradients of the steps to `totals`, and return that of the columns."""
    *opening, last = steps
    *states, parts = _states(steps, columns)
    top = grad.reshape(parts.shape[1], last.shape[1], -1)
    down = torch.empty_like(parts)
    for step, part, total, out in zip(last, parts, totals[-1], down, strict=True):
        total.add_(torch.bmm(top, part.mT).sum(0))
        torch.bmm(_repeated(step.T, top), top, out=out)
    for step, state, total in zip(opening[::-1], states[::-1], totals[-2::-1], strict=True):
        down = down.view(len(state), len(step), -1)
        total.add_(torch.bmm(down, state.mT).sum(0))
        down = torch.bmm(_repeated(step.T, down), down)
    return down.view(columns.shape)


def core_gradients(cores: Sequence[Tensor], totals: Sequence[Tensor]) -> list[Tensor]:
    """The gradients of the cores from those of their steps."""
    with torch.enable_grad():
        cores = [core.detach().requires_grad_() for core in cores]
        steps = ring_steps(cores, totals[0].dtype)
    return list(torch.autograd.grad(steps, cores, totals))


def _states(steps: Steps, columns: Float[Tensor, "cols n"]) -> list[Tensor]:
    """What each step starts from, (batch, q, rest); for the last step by the ring's open end."""
    *opening, last = steps
    sizes = [step.shape[1] for step in opening] + [last.shape[2]]
    states = [columns.reshape(1, sizes[0], -1)]
    for step, size in zip(opening, sizes[1:], strict=True):
        state = torch.bmm(_repeated(step, states[-1]), states[-1])
        # All but the first state have the ring's index in front of their own.
        states.append(state.view(-1, size, state.shape[2] * len(last) // size))
    states[-1] = states[-1].view(len(last), -1, sizes[-1], columns.shape[1])
    return states


def _repeated(step: Float[Tensor, "p q"], state: Tensor) -> Float[Tensor, "batch p q"]:
    return step.expand(len(state), -1, -1)
