"""The settings of every method, made from the dataclass with which PEFT configures it.

`graftwork_peft.settings.vera` is the settings class of `peft/vera`, made when it is first asked
for. Names are PEFT's, except for what every method of graftwork calls by one name: `r` is `rank`,
`<method>_alpha` is `alpha` and `<method>_dropout` is `dropout`.
"""

import dataclasses
import functools
import warnings
from typing import Any, get_type_hints

from peft import PeftConfig
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType

from graftwork.core.config import config
from graftwork_peft import catalogue
from graftwork_peft.special import special
from graftwork_peft.translating import bounded, expressible, present

_OWN = frozenset(
    {field.name for field in dataclasses.fields(PeftConfig)}
    | {"target_modules", "exclude_modules", "modules_to_save", "target_parameters"}
    | {"layers_to_transform", "layers_pattern", "layer_replication"}  # where to sit
    | {"bias", "lora_bias", "fan_in_fan_out", "ensure_weight_tying"}  # what a layer is
    | {"megatron_core", "trainable_token_indices", "alora_invocation_tokens"}  # language models
    | {"save_projection", "save_only_topk_weights", "save_indices", "save_precomputed_indices"}
    | {"runtime_offload_base_weight", "use_qalora", "qalora_group_size"}  # quantised models
    | {"sample_at_inference", "generator_seed"}  # an output that differs from call to call
    | {"use_effective_conv2d"}  # PEFT sees linear layers alone
)
"""What the bridge or graftwork decides, and no setting does."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
    """A setting and the field of PEFT's configuration that it sets."""

    name: str
    peft_name: str
    hint: Any
    default: Any
    help: str


def __getattr__(name: str) -> type:
    if name not in catalogue.injectable():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return settings_class(name)


@functools.cache
def settings_class(method: str) -> type:
    """The `@config` class of a method."""
    given = fields(method)
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": method,  # where pickle finds it
        "__doc__": f"Settings of PEFT's {method}.",
        "__annotations__": {field.name: field.hint for field in given},
        "__post_init__": functools.partialmethod(_check, method),
    }
    for field in given:
        extra = {} if field.default is dataclasses.MISSING else {"default": field.default}
        namespace[field.name] = dataclasses.field(metadata={"help": field.help}, **extra)
    return config(type(method, (), namespace))


def peft_config(method: str, settings: Any) -> Any:
    """PEFT's configuration of a method; `target_modules` is left to the caller.

    Raises:
        ValueError: PEFT finds that the settings do not go together.
    """
    given = {
        field.peft_name: _for_peft(value)
        for field in fields(method)
        if (value := getattr(settings, field.name)) is not None
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice for language models under transformers
        return _config_class(method)(**{**given, **special(method).fixed})


@functools.cache
def fields(method: str) -> tuple[Field, ...]:
    """The settings of a method, in PEFT's order."""
    cls, known = _config_class(method), special(method)
    hints = get_type_hints(cls)
    made = []
    for field in dataclasses.fields(cls):
        if field.name in _OWN or field.name in known.fixed or not field.init:
            continue
        hint = known.types.get(field.name, expressible(hints[field.name]))
        if hint is not None:
            made.append(_field(method, field, hint))
    return tuple(made)


def _field(method: str, field: Any, hint: Any) -> Field:
    name = shared_name(method, field.name)
    default = _default(method, field)
    if name == "alpha":  # the same in every method
        hint, default = (float, float(default)) if default is not None else (float | None, None)
    if default is not None and default is not dataclasses.MISSING:
        hint = present(hint)
    return Field(
        name=name,
        peft_name=field.name,
        hint=bounded(name, hint, default),
        default=default,
        help=_help(field),
    )


def shared_name(method: str, name: str) -> str:
    """What graftwork calls a field of a method's configuration."""
    if name == "r":
        return "rank"
    for shared in ("alpha", "dropout"):
        if name in {f"{method}_{shared}", f"lora_{shared}"}:
            return shared
    return name


def _default(method: str, field: Any) -> Any:
    if field.name in special(method).defaults:
        return special(method).defaults[field.name]
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return tuple(default) if isinstance(default, list | set) else getattr(default, "value", default)


def _help(field: Any) -> str:
    text = " ".join(str(field.metadata.get("help", "")).split())
    return text or f"PEFT's {field.name}."


def _check(settings: Any, method: str) -> None:
    """Let PEFT look at the settings together."""
    try:
        peft_config(method, settings)
    except TypeError as error:
        raise ValueError(f"{error}; see PEFT's documentation of {method}") from error


def _for_peft(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _config_class(method: str) -> Any:
    return PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(method.upper())]
