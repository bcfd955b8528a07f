"""The training form folded into the merged one, exactly (arXiv:2305.00767).

MLP: fc11 x + fc12 x = (W11 + W12) x + b11 + b12.

RepConv, a linear layer (W1, b1) and then a 3x3 convolution (W2, b2) of its zero-padded output:

    W[o, i, y, x] = sum_m W2[o, m, y, x] W1[m, i]
    b[o, y, x]    = sum_m W2[o, m, y, x] b1[m]         what tap (y, x) makes of the bias
    bias[o]       = b2[o] + sum over all taps of b
    edge[o, p, q] = - sum of b over the taps that lie outside the map at row p and column q

since the padding is zero after b1 was added: one bias for the whole map would be wrong at its
edges by what the outer taps make of b1.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.backbones.rvideformer.blocks import MLP, RepConv
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.core.errors import GraftworkError

# The row (or column) of taps outside the map for the first, an inner and the last row.
_OUTSIDE = (0, None, 2)


@torch.no_grad()
def merge(model: RViDeformer) -> RViDeformer:
    """A model of the merged form that computes the same; the given one stays as it is.

    Raises:
        GraftworkError: the model is merged already, or carries adapters.
    """
    if model.config.form == "merged":
        raise GraftworkError("merge: the model has the merged form already; use it as it is")
    for name, module in model.named_modules():
        if hasattr(module, "grafts"):
            raise GraftworkError(
                f"merge: '{name}' carries an adapter; merge that into its layer first, or detach it"
            )
    merged = RViDeformer(replace(model.config, form="merged"))
    state = model.state_dict()
    for name, module in model.named_modules():
        folded = _folded(module)
        for key in list(_doubled(module)):
            del state[f"{name}.{key}"]
        state |= {f"{name}.{key}": tensor for key, tensor in folded.items()}
    # Straight into the layers, so that every one keeps its dtype and device.
    merged.load_state_dict(state, assign=True)
    merged.requires_grad_(any(each.requires_grad for each in model.parameters()))
    return merged.train(model.training)


def _doubled(module: nn.Module) -> Iterator[str]:
    for layer in {MLP: ("fc11", "fc12"), RepConv: ("linear",)}.get(type(module), ()):
        yield from (f"{layer}.weight", f"{layer}.bias")


def _folded(module: nn.Module) -> dict[str, Tensor]:
    if isinstance(module, MLP):
        return {
            f"fc1.{kind}": getattr(module.fc11, kind) + getattr(module.fc12, kind)
            for kind in ("weight", "bias")
        }
    if isinstance(module, RepConv):
        return _fold_convolution(module)
    return {}


def _fold_convolution(module: RepConv) -> dict[str, Tensor]:
    assert module.linear is not None
    assert module.conv.bias is not None
    dtype = module.conv.weight.dtype
    first, second = module.linear.weight.double(), module.conv.weight.double()
    taps = torch.einsum("omyx,m->oyx", second, module.linear.bias.double())
    kernel = torch.einsum("omyx,mi->oiyx", second, first)
    bias = module.conv.bias.double() + taps.sum((1, 2))
    folded = {"conv.weight": kernel, "conv.bias": bias, "edge": _edge(taps)}
    return {key: tensor.to(dtype) for key, tensor in folded.items()}


def _edge(taps: Float[Tensor, "channels 3 3"]) -> Float[Tensor, "channels 3 3"]:
    edge = torch.zeros_like(taps)
    for p, row in enumerate(_OUTSIDE):
        for q, col in enumerate(_OUTSIDE):
            outside = torch.zeros(3, 3, dtype=torch.bool, device=taps.device)
            if row is not None:
                outside[row] = True
            if col is not None:
                outside[:, col] = True
            edge[:, p, q] = -taps[:, outside].sum(1)
    return edge
