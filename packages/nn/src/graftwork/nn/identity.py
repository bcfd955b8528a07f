"""The identity of a backbone, cheap enough to take of any model."""

import hashlib

import torch
from torch import Tensor, nn

from graftwork.nn.grafted import Grafted

_SAMPLES = 32


def fingerprint(model: nn.Module) -> str:
    """Hash of parameter names, shapes and a spread sample of every parameter's values.

    Reads 32 values of each parameter, so a billion parameters take well under a second. The
    adapters on the model do not count, and float32 and bfloat16 copies are the same backbone.
    """
    digest = hashlib.sha256()
    for name, parameter in backbone_parameters(model):
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(_sample(parameter.detach()).numpy().tobytes())
    return digest.hexdigest()


def backbone_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The backbone's own parameters, those of adapters left out."""
    adapters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, Grafted)
        for parameter in module.grafts.parameters()
    }
    return [(name, p) for name, p in model.named_parameters() if id(p) not in adapters]


def _sample(parameter: Tensor) -> Tensor:
    if parameter.is_meta or not parameter.numel():
        return torch.empty(0)
    count = min(_SAMPLES, parameter.numel())
    # float64: in float32 the last index of a large table rounds to one past its end.
    index = torch.linspace(0, parameter.numel() - 1, count, dtype=torch.float64).long()
    index = index.to(parameter.device)
    if parameter.is_contiguous():  # as nearly all are; the general way takes three times as long
        chosen = parameter.view(-1)[index]
    else:
        chosen = parameter[torch.unravel_index(index, parameter.shape)]
    # Rounded to bfloat16, so that a backbone is known again in another precision.
    return chosen.bfloat16().float().cpu()
