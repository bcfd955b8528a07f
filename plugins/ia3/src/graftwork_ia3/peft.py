"""IA3 in PEFT's files.

    ia3_l   (out, 1) or (1, in)                        on a linear layer
            (1, out, 1, 1[, 1]) or (1, in, 1, 1[, 1])  on a convolution

Which of the two, `feedforward_modules` says. On outputs PEFT scales the layer's bias as well, which
IA3 here does not; so only layers without one go both ways.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, Site
from graftwork.nn.adapter import Adapter
from graftwork.nn.forms import Content, Form, Held

_LEAF = "ia3_l"
_KINDS = ("linear", "conv2d", "conv3d")


class PeftForm(Form):
    """The scales of inputs, and those of outputs on layers without a bias."""

    kind = "IA3"
    leaves = frozenset({_LEAF})

    def write(self, handle: Graft, adapters: Mapping[str, Adapter]) -> Held:
        """The scales at the graft's weight w: 1 + w (s - 1)."""
        layers, inputs = {}, []
        for name, adapter in adapters.items():
            site, scale = adapter.site, adapter.get_parameter("scale").detach()
            of_input = scale.shape[0] == 1 and handle.settings.scales_input(site.name)
            _refuse(site, of_input=of_input, place="format 'peft'")
            layers[name] = {_LEAF: _shaped(1 + handle.weight * (scale - 1), site)}
            inputs += [name] if of_input else []
        pattern = "|".join(re.escape(name) for name in inputs)
        return Held(layers=layers, fields={"feedforward_modules": pattern or []})

    def read(self, held: Held, sites: Mapping[str, Site], place: str) -> Content:
        """The scales of a file; the sites of `feedforward` by their names."""
        inputs, tensors = [], {}
        for name, leaves in held.layers.items():
            site, of_input = sites[name], _of_input(name, held.fields.get("feedforward_modules"))
            _refuse(site, of_input=of_input, place=f"{place}: '{name}'")
            scale = leaves[_LEAF].flatten()
            tensors[name] = {"scale": scale[None] if of_input else scale[:, None]}
            inputs += [site.name] if of_input else []
        settings: dict[str, Any] = {"feedforward": tuple(inputs)} if inputs else {}
        return Content(method="ia3", settings=settings, tensors=tensors)


def _shaped(scale: Tensor, site: Site) -> Tensor:
    if site.kind == "linear":
        return scale
    return scale.reshape(1, -1, *(1,) * (site.frozen().dim() - 2))


def _of_input(module: str, patterns: str | Sequence[str] | None) -> bool:
    """PEFT's rule: a pattern for the whole name, or one of several ends of it."""
    if isinstance(patterns, str):
        return re.fullmatch(patterns, module) is not None
    return any(module.endswith(end) for end in patterns or ())


def _refuse(site: Site, *, of_input: bool, place: str) -> None:
    """Refuse a layer on which PEFT computes something else.

    Raises:
        GraftworkError: it is one.
    """
    if site.kind not in _KINDS:
        problem = f"has no ia3 for a layer of kind {site.kind}"
    elif not of_input and site.bias is not None:
        problem = "scales the layer's bias too"
    elif of_input and site.groups > 1:
        problem = "has other scales for a convolution in groups"
    else:
        return
    raise GraftworkError(
        f"{place}: PEFT {problem}, so '{site.name}' would act differently; leave it out of the "
        "sites, or keep graftwork's own files (`save`)"
    )
