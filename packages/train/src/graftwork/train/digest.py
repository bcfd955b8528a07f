"""A hash of tensors, to tell whether anything moved."""

import hashlib
from collections.abc import Iterable

from torch import Tensor


def digest(tensors: Iterable[Tensor]) -> str:
    """Hexadecimal SHA-256 of the values, in order."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(tensor.detach().float().cpu().numpy().tobytes())
    return total.hexdigest()
