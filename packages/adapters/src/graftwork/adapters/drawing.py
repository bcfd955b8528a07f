"""How factors are drawn."""

import torch
from torch import nn


def kaiming(rows: int, cols: int) -> nn.Parameter:
    """A (rows, cols) matrix from U(-1, 1) / sqrt(cols), which is Kaiming's with a = sqrt(5).

    On the meta device, where adapters are built for a file to fill, there is nothing to draw, and
    asking torch to would take as long as all the rest.
    """
    matrix = torch.empty(rows, cols)
    if not matrix.is_meta:
        matrix.uniform_(-(cols**-0.5), cols**-0.5)
    return nn.Parameter(matrix)
