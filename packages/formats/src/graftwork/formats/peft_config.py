"""adapter_config.json of PEFT: what has to stand there, and what of it graftwork understands."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from graftwork.core.errors import GraftworkError

CONFIG = "adapter_config.json"

# Each of these, if set, changes what the tensors mean. `bias` and `modules_to_save` bring tensors
# of their own, which the reader meets and refuses by name.
_REFUSED = {
    "fan_in_fan_out": "weights are stored transposed",
    "use_qalora": "inputs are pooled before the product",
    "alora_invocation_tokens": "it acts on some tokens only",
    "corda_config": "the base weights were changed at the start",
    "eva_config": "the base weights may have been changed at the start",
    "layer_replication": "layers of the model are doubled",
    "target_parameters": "it sits on bare parameters",
    "trainable_token_indices": "it trains rows of the embedding",
    "arrow_config": "it routes between adapters",
    "monteclora_config": "it is a sample of a distribution",
    "velora_config": "inputs are compressed",
}
_CHANGED_BASE = ("pissa", "olora", "corda", "loftq")


def document(fields: Mapping[str, Any], modules: Iterable[str]) -> dict[str, Any]:
    """The whole file. The modules are named one by one, so that no other can match."""
    named = "|".join(re.escape(module) for module in modules)
    return {
        "base_model_name_or_path": None,
        "inference_mode": True,
        "modules_to_save": None,
        "target_modules": named,
        "task_type": None,
        **fields,
    }


def read(path: Path) -> dict[str, Any]:
    """The fields of the file, `peft_type` among them.

    Raises:
        GraftworkError: it is damaged, or has an option that changes what the tensors mean.
    """
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        fields["peft_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GraftworkError(f"{path}: not a configuration of PEFT; copy the adapter") from error
    for option, meaning in _REFUSED.items():
        if fields.get(option):
            raise GraftworkError(f"{path}: {option}: {meaning}, which is not read; merge with PEFT")
    start = str(fields.get("init_lora_weights", "")).lower()
    if start.startswith(_CHANGED_BASE):
        raise GraftworkError(
            f"{path}: init_lora_weights: '{start}' changed the base weights at the start; convert "
            "it with PEFT's `save_pretrained(path_initial_model_for_weight_conversion=...)`"
        )
    return fields


def at(patterns: Mapping[str, Any] | None, module: str, default: Any) -> Any:
    """A value of rank_pattern or alpha_pattern, by PEFT's rule: the first that ends the name."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default


def version(text: Any) -> tuple[int, ...]:
    """The first two numbers of a version of PEFT; (0, 0) for none."""
    numbers = re.match(r"(\d+)\.(\d+)", str(text))
    return tuple(map(int, numbers.groups())) if numbers else (0, 0)
