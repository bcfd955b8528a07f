"""The identity of a backbone, cheap enough to take of any model."""

import hashlib
from functools import lru_cache

import torch
from torch import Tensor, nn

from graftwork.nn.grafted import Grafted

_SAMPLES = 32


def fingerprint(model: nn.Module) -> str:
    """Hash of parameter names, shapes and a spread sample of every parameter's values.

    Reads 32 values of each parameter, so a billion parameters take well under a second. The
    adapters on the model do not count, and float32 and bfloat16 copies are the same backbone.
    """
    named = backbone_parameters(model)
    samples = [_sample(parameter.detach()) for _, parameter in named]
    values = _on_cpu(samples).float().numpy().tobytes()
    digest, start = hashlib.sha256(), 0
    for (name, parameter), sample in zip(named, samples, strict=True):
        end = start + 4 * len(sample)
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(values[start:end])
        start = end
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
    """Some values in bfloat16, so that a backbone is known again in another precision."""
    if parameter.is_meta or not parameter.numel():
        return torch.empty(0, dtype=torch.bfloat16)
    index = _places(parameter.numel(), parameter.device)
    if parameter.is_contiguous():  # as nearly all are; the general way takes three times as long
        return parameter.view(-1)[index].bfloat16()
    return parameter[torch.unravel_index(index, parameter.shape)].bfloat16()


@lru_cache(maxsize=64)
def _places(numel: int, device: torch.device) -> Tensor:
    # float64: in float32 the last index of a large table rounds to one past its end.
    count = min(_SAMPLES, numel)
    places = torch.linspace(0, numel - 1, count, dtype=torch.float64, device="cpu")
    return places.long().to(device)


def _on_cpu(samples: list[Tensor]) -> Tensor:
    """Samples in a row; from one device in one transfer."""
    devices = {sample.device for sample in samples}
    if len(devices) <= 1:
        return torch.cat(samples).cpu() if samples else torch.empty(0)
    return torch.cat([sample.cpu() for sample in samples])
