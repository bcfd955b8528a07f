"""The layer types that graftwork knows by itself; plugins teach others through `as_site`."""

import re

from torch import nn

from graftwork.nn.site import Site, SiteKind

_KINDS: tuple[tuple[type[nn.Module], SiteKind], ...] = (
    (nn.Linear, "linear"),
    (nn.Conv2d, "conv2d"),
    (nn.Embedding, "embedding"),
    (nn.Conv1d, "conv1d"),
    (nn.Conv3d, "conv3d"),
    (nn.LayerNorm, "norm"),
    (nn.RMSNorm, "norm"),
)

# The names under which timm, CLIP and others keep q, k and v in one linear layer.
_FUSED = re.compile(r"(^|\.)(to_qkv|qkv|qkv_proj|in_proj|Wqkv)$")


def as_site(module: nn.Module, name: str) -> Site | None:
    """The site of a torch layer, or None for a module without a weight that can be adapted."""
    if isinstance(module, nn.MultiheadAttention):
        return _attention(module, name)
    kind = next((kind for type_, kind in _KINDS if isinstance(module, type_)), None)
    if kind is None or not _adaptable(module):
        return None
    return Site(
        name=name,
        layer=module,
        kind=kind,
        parts=_fused_parts(module, name),
        observable=_observable(module),
    )


def _observable(module: nn.Module) -> bool:
    """Whether calling the layer is plain torch: only then may an adapter stand in for the call."""
    if isinstance(module, nn.modules.linear.NonDynamicallyQuantizableLinear):
        return False  # out_proj of torch's attention, which reads the weight and never calls it
    cls = getattr(type(module), "grafted_from", type(module))
    plain = next(type_ for type_, _ in _KINDS if isinstance(module, type_))
    return cls.forward is plain.forward and "forward" not in vars(module)


def _adaptable(module: nn.Module) -> bool:
    """Whether the weight is an ordinary one: floating point, and left as it is by forward."""
    weight = module._parameters.get("weight")
    lazy = isinstance(weight, nn.parameter.UninitializedParameter)
    if weight is None or lazy or not weight.is_floating_point():
        return False
    if len(getattr(module, "normalized_shape", (1,))) != 1:
        return False
    return getattr(module, "max_norm", None) is None  # such an embedding rewrites its weight


def _fused_parts(module: nn.Module, name: str) -> dict[str, int]:
    if not isinstance(module, nn.Linear) or not _FUSED.search(name):
        return {}
    if module.out_features != 3 * module.in_features:
        return {}
    return dict.fromkeys("qkv", module.in_features)


def _attention(module: nn.MultiheadAttention, name: str) -> Site | None:
    """torch's packed q, k, v projection. With differing key and value widths there is none."""
    if module.in_proj_weight is None:
        return None
    return Site(
        name=f"{name}.in_proj" if name else "in_proj",
        layer=module,
        kind="linear",
        parameter="in_proj_weight",
        parts=dict.fromkeys("qkv", module.embed_dim),
        observable=False,
    )
