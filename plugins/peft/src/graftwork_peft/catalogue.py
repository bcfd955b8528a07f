"""Which methods the installed PEFT has, and which of them can sit on a plain layer.

Read from PEFT's files without importing it, which would take seconds. A method that a new PEFT
brings is listed the same day.
"""

import ast
import functools
from importlib.util import find_spec
from pathlib import Path

_NO_LAYER = "it adds virtual tokens to a language model's input and changes no layer"
UNSUPPORTED: dict[str, str] = {
    "adaption_prompt": "it rewrites the attention modules of transformers' language models",
    "cartridge": _NO_LAYER,
    "cpt": _NO_LAYER,
    "multitask_prompt_tuning": _NO_LAYER,
    "p_tuning": _NO_LAYER,
    "prefix_tuning": _NO_LAYER,
    "prompt_tuning": _NO_LAYER,
    "shadow": "it trains a second, smaller transformers model beside the first",
    "xlora": "it mixes LoRA adapters trained before, by the hidden states of the whole model",
}
"""The methods of PEFT that cannot be injected into a plain layer, and why."""

ACTIVATION = frozenset({"beft", "lily"})
"""The methods whose change is no function of the weight: BEFT trains the bias, and Lily's router
mixes its experts by the layer's input."""


@functools.cache
def methods() -> tuple[str, ...]:
    """Every method of the installed PEFT, by the name of its type in lower case, sorted."""
    tree = ast.parse((_folder() / "utils" / "peft_types.py").read_text(encoding="utf-8"))
    enum = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "PeftType"
    )
    values = [node.value for node in enum.body if isinstance(node, ast.Assign)]
    names = {value.value for value in values if isinstance(value, ast.Constant)}
    return tuple(sorted(name.lower() for name in names if isinstance(name, str)))


@functools.cache
def injectable() -> tuple[str, ...]:
    """The methods that have a layer of their own to put in place of a plain one."""
    tuners = _folder() / "tuners"
    candidates = (name for name in methods() if name not in UNSUPPORTED)
    return tuple(name for name in candidates if (tuners / name / "layer.py").is_file())


def _folder() -> Path:
    spec = find_spec("peft")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'peft'", name="peft")
    return Path(spec.submodule_search_locations[0])
