"""Released weights on disk, read without running anything that they hold."""

import json
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn import tensorfile

_PATTERNS = ("*.safetensors", "*.bin")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, or of all parts in a folder; safetensors where there are both.

    Raises:
        GraftworkError: nothing to read is there, a file is cut short or holds more than tensors,
            or two parts hold the same name.
    """
    state: dict[str, Tensor] = {}
    for file in _files(path):
        part = _read(file)
        if twice := state.keys() & part.keys():
            raise GraftworkError(
                f"{file}: '{min(twice)}' is in another file of the folder too; keep one set of "
                "weights in it"
            )
        state |= part
    return state


def read_config(folder: Path) -> dict[str, object]:
    """The `config.json` of a folder.

    Raises:
        GraftworkError: it is missing or is no JSON object.
    """
    path = folder / "config.json"
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise GraftworkError(f"{path}: missing or no JSON; copy it again") from error
    if not isinstance(values, dict):
        raise GraftworkError(f"{path}: is no configuration; copy it again")
    return values


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    for pattern in _PATTERNS:
        # What a trainer writes beside the weights is no part of them.
        found = [each for each in sorted(path.glob(pattern)) if each.name != "training_args.bin"]
        if found:
            return found
    raise GraftworkError(
        f"{path}: no weights; give a .safetensors or .bin file or a folder of them"
    )


def _read(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return tensorfile.read(file, what="weights")[0]
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise GraftworkError(f"{file}: cannot be read; copy the weights again") from error
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise GraftworkError(
            f"{file}: holds more than tensors, or is cut short; copy the weights again, or save "
            "their `state_dict()` alone"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise GraftworkError(f"{file}: is no state dict; save the model's `state_dict()` alone")
    return state
