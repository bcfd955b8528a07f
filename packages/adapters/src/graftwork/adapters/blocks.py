"""How many rows of a matrix to work on at once."""

import torch
from torch import Tensor

# Elements in float32 that stay in a core's cache; an accelerator wants fewer launches.
_BLOCK = 2**17
_ACCELERATOR_BLOCK = 2**24


def block_rows(matrix: Tensor) -> int:
    """Rows of a block of `matrix` (rows, cols) that stays in cache."""
    rows, cols = matrix.shape
    if torch.compiler.is_compiling():
        return rows  # the compiler fuses by itself, and blocks would only unroll its graph
    block = _BLOCK if matrix.device.type == "cpu" else _ACCELERATOR_BLOCK
    return max(1, block // cols)
