"""Graftwork as a method of PEFT: any weight adapter, wherever a `PeftConfig` is taken.

PEFT registers methods by a closed enumeration of types, but looks them up in tables by the type's
word. Importing this module adds the word GRAFTWORK to these tables, and leaves the enumeration
alone.
"""

from dataclasses import dataclass, field
from typing import Any

from peft import PeftConfig
from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)
from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from graftwork.core import registry
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import manager
from graftwork.core.records import AdapterSpec
from graftwork.nn.adapter import Adapter, WeightAdapter
from graftwork.nn.grafting import read_settings
from graftwork_peft.tuned import Tuned
from graftwork_peft.wrapped import PREFIX, GraftworkLayer


class MethodName(str):
    """A type of method that is no member of PEFT's enumeration, and looks like one."""

    @property
    def value(self) -> str:
        """The word itself."""
        return str(self)


METHOD = MethodName("GRAFTWORK")


@dataclass
class GraftworkConfig(PeftConfig):
    """PEFT's configuration of a weight adapter of graftwork.

    Raises `GraftworkError` for an unknown adapter or setting, or one that is no weight adapter.
    """

    adapter: str = field(default="", metadata={"help": "Registered name, as `graftwork list`."})
    settings: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "Its settings, as in a run file."}
    )
    target_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Layers to sit on: ends of their names, or a pattern."}
    )
    exclude_modules: list[str] | str | None = field(
        default=None, metadata={"help": "Layers to leave out."}
    )
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "Further modules that train whole and are saved."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = METHOD  # type: ignore[assignment]
        chosen(self)


def chosen(config: GraftworkConfig) -> tuple[type[WeightAdapter], Any]:
    """The adapter class that a configuration names, and its settings, checked."""
    spec = registry.find("adapters", config.adapter)
    assert isinstance(spec, AdapterSpec)
    cls = spec.load()
    if not issubclass(cls, WeightAdapter):
        raise GraftworkError(f"adapter: '{config.adapter}' changes no weight; choose another")
    if issubclass(cls, Tuned):
        raise GraftworkError(f"adapter: '{config.adapter}' is PEFT's own; use its configuration")
    if cls.join.__func__ is not Adapter.join.__func__:  # type: ignore[attr-defined]
        raise GraftworkError(
            f"adapter: '{config.adapter}' shares tensors between layers, which PEFT cannot know; "
            "use `graftwork.nn.graft`"
        )
    return cls, read_settings(spec, config.settings)


class GraftworkModel(BaseTuner):
    """PEFT's tuner: which layers of a model get a `GraftworkLayer`."""

    prefix = PREFIX
    tuner_layer_cls = GraftworkLayer
    target_module_mapping: dict[str, list[str]] = {}

    def _create_and_replace(
        self,
        peft_config: GraftworkConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        cls, settings = chosen(peft_config)
        if isinstance(target, GraftworkLayer):
            target.add(adapter_name, cls, settings)
            return
        site = manager().hook.as_site(module=target, name=current_key)
        fits = site is not None and (site.kind != "norm" or cls.norms)
        if site is None or not fits or not site.observable:
            raise GraftworkError(
                f"target_modules: '{current_key}' is a {type(target).__name__}, on which "
                f"'{peft_config.adapter}' cannot sit here; leave it out, or use graftwork.nn.graft"
            )
        layer = GraftworkLayer(target, site)
        layer.add(adapter_name, cls, settings)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)


PEFT_TYPE_TO_CONFIG_MAPPING[METHOD] = GraftworkConfig  # type: ignore[index]
PEFT_TYPE_TO_TUNER_MAPPING[METHOD] = GraftworkModel  # type: ignore[index]
PEFT_TYPE_TO_PREFIX_MAPPING[METHOD] = PREFIX  # type: ignore[index]
