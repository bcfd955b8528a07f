"""What TLoRA and StyleInject must cost at least on the stack of `adapters.py`.

    python benchmarks/floors.py

Counted are the multiplications and the passes over memory that an implementation cannot do
without, forward and backward; they are weighed by what this machine needs for a big product, for
the thin products of each method, and for reading or writing a tensor, all measured here on one
thread. Printed as time over the frozen stack, as `adapters.py` prints what is reached.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

SHAPES = ((320, 4096, (4, 8, 10)), (640, 1024, (8, 8, 10)), (1280, 256, (8, 10, 16)))
"""Width, tokens, and the factors of TLoRA's ring."""
RANK = 8
RING = 2
BRANCHES = 4


def main() -> int:
    torch.set_num_threads(1)
    frozen = tlora = style = 0.0
    for width, tokens, factors in SHAPES:
        x, weight = torch.randn(tokens, width), torch.randn(width, width)
        big = seconds(lambda x=x, weight=weight: x @ weight)
        frozen += 2 * big  # forward, and the gradient of the input
        # T before W, once forward and thrice backward; or W T and the gradient of it.
        apart = 2 * big + 4 * chain(tokens, width, factors)
        formed = 3 * big + 5 * chain(width, width, factors)
        tlora += min(apart, formed) + low_rank(x, RANK)
        style += 2 * big + low_rank(x, RANK * BRANCHES) + 9 * seconds(x.sum)
    print(f"tlora         {tlora / frozen:.2f}  products, T x once and thrice or W T, the LoRA")
    print(
        f"style-inject  {style / frozen:.2f}  products, n A x and B h with gradients, nine passes"
    )
    return 0


def chain(tokens: int, width: int, factors: tuple[int, ...]) -> float:
    """T x by its cores, or by T itself where that is quicker."""
    first, *middle, last = factors
    x = torch.randn(width * tokens)
    steps = [(RING * RING * first, first)]
    steps += [(RING * factor, RING * factor) for factor in middle]
    steps += [(last, RING * RING * last)]
    total, size = 0.0, width * tokens
    for rows, cols in steps:
        columns = x.new_ones(max(1, size // cols))
        block = torch.randn(cols, min(len(columns), 4096))
        matrix = torch.randn(rows, cols)
        times = len(columns) / block.shape[1]
        total += times * seconds(lambda m=matrix, b=block: m @ b)
        size = len(columns) * rows
    square = torch.randn(width, width)
    whole = seconds(lambda: torch.mm(x.view(tokens, width), square))
    return min(total, whole)


def low_rank(x: Tensor, wide: int) -> float:
    """A x and B h, and for each the gradients of both its factors."""
    h, down, up = (
        torch.randn(len(x), RANK),
        torch.randn(wide, x.shape[1]),
        torch.randn(x.shape[1], RANK),
    )
    return 3 * (seconds(lambda: x @ down.T) + seconds(lambda: h @ up.T))


def seconds(work: Callable[[], object]) -> float:
    """The median CPU time of some work."""
    work()
    found = []
    for _ in range(15):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


if __name__ == "__main__":
    raise SystemExit(main())
