"""What the bridge has to know about single methods; nothing about most of them."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Special:
    """Where a method departs from the rule."""

    fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of PEFT's configuration that are no settings, and their values."""
    types: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Narrower types of fields."""
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Other defaults than PEFT's, `dataclasses.MISSING` for none."""
    joint: bool = False
    """Whether PEFT has to see all sites at once though its tuner does not say so."""
    by_weight: bool = False
    """Whether the effective weight computes the output, in place of PEFT's forward pass."""
    call: Callable[[nn.Module, Tensor], Tensor] = lambda tuner, x: tuner(x)
    """How PEFT's layer is called on an input x."""


def special(method: str) -> Special:
    """What is special about a method."""
    return _SPECIAL.get(method, _PLAIN)


_PLAIN = Special()
# PiSSA, OLoRA, CorDA and LoftQ write another weight into the backbone; EVA wants data.
_LORA_STARTS = bool | Literal["gaussian", "orthogonal"]


def _first_task(tuner: nn.Module, x: Tensor) -> Tensor:
    """PEFT's Poly takes sequences, and the number of the task that each belongs to."""
    tokens = x.reshape(1, -1, x.shape[-1])
    output: Tensor = tuner(tokens, task_ids=torch.zeros(1, dtype=torch.long, device=x.device))
    return output.view(*x.shape[:-1], -1)


def _in_its_dtype(tuner: nn.Module, x: Tensor) -> Tensor:
    """PEFT's whole copy of the layer is in the adapter's dtype, and takes no other input."""
    output: Tensor = tuner(x.to(next(tuner.parameters()).dtype))
    return output.to(x.dtype)


_SPECIAL: dict[str, Special] = {
    "adalora": Special(
        joint=True,  # it distributes ranks over the sites
        # The rank is init_r, and shrinks to target_r over total_step steps. The penalty belongs to
        # the loss of transformers' models.
        fixed={"r": 8, "orth_reg_weight": 0.0001, "use_dora": False},
        types={"init_lora_weights": bool, "total_step": int},
        defaults={"total_step": dataclasses.MISSING},
    ),
    "adamss": Special(joint=True),  # it distributes subspaces over the sites
    # PEFT 0.21's forward pass gives its input another gradient than the one of what it computes.
    "c3a": Special(by_weight=True),
    "frod": Special(fixed={"progressbar": False}),
    # An output bias is no part of the weight.
    "glora": Special(fixed={"config_D_E": "none"}),
    "ia3": Special(defaults={"feedforward_modules": ()}),
    "lily": Special(joint=True),  # its layers share factors
    "ln_tuning": Special(call=_in_its_dtype),
    "lora": Special(types={"init_lora_weights": _LORA_STARTS}),
    # Several tasks would need the task's number with every call of the backbone.
    "poly": Special(fixed={"n_tasks": 1}, call=_first_task),
    "randlora": Special(joint=True),  # its layers share bases
    # Unseeded, its mask would be another one when the adapter is loaded.
    "shira": Special(types={"random_seed": int}, defaults={"random_seed": 0}),
    "trainable_tokens": Special(defaults={"token_indices": dataclasses.MISSING}),
}
