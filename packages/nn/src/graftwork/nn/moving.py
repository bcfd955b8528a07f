"""A frozen model moved and cast, with adapters on it."""

import torch
from torch import nn

from graftwork.nn.match import backbone_modules


def move(module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
    """Move a module and cast what is its own; adapters on it change device and keep their dtype.

    Integers stay what they are.
    """
    module.to(device)
    for _, part in backbone_modules(module):
        for tensor in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            if tensor.is_floating_point():
                tensor.data = tensor.data.to(dtype)
