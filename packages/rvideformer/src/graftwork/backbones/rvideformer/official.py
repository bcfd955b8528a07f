"""The published checkpoints (training form) on our layers.

Certain, by the specification of the method, are the names of the projections (`hi_qkv_mut`,
`g_q_mut`, `g_kv_mut`, `fusion`, `proj`), of the MLP (`fc11`, `fc12`, `fc2`), of `linear1`, `conv1`
and their like, of `conv_first` and `conv_last`, all shapes, and that convolutions are 1x3x3 in 3-D.
Assumed, from the model's ancestor VRT (Liang et al. 2022, arXiv:2201.12288) and the suffixes above,
are the names of the containers (`stage1.residual_group1.blocks.0.attn`, `stage1.reshape.1`,
`stage8.1.residual_group`, `conv_after_body`), of the bias tables, and `_self` for what is not
`_mut`. Where a checkpoint has others, `renames` tells them, and nothing is skipped: a key that is
left over or missing is an error that names it.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from graftwork.backbones.rvideformer.bias import relative_index
from graftwork.backbones.rvideformer.blocks import Block
from graftwork.backbones.rvideformer.mutual import sine_code
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.core.errors import GraftworkError
from graftwork.nn import tensorfile

# Layers by our name and the official ones, which are stacked in the order given.
_LINEARS = {
    "attn.window_qkv": ("attn.hi_qkv_self", "attn.lo_q", "attn.g_q_self"),
    "attn.pooled_kv": ("attn.lo_kv",),
    "attn.coarse_kv": ("attn.g_kv_self",),
    "attn.fusion": ("attn.fusion",),
    "attn.proj": ("attn.proj",),
    "mlp.fc11": ("mlp.fc11",),
    "mlp.fc12": ("mlp.fc12",),
    "mlp.fc2": ("mlp.fc2",),
    "norm1": ("norm1",),
    "norm2": ("norm2",),
}
_MUTUAL = {
    "attn.mutual.window_qkv": ("attn.hi_qkv_mut", "attn.g_q_mut"),
    "attn.mutual.coarse_kv": ("attn.g_kv_mut",),
}
_TABLES = {
    "attn.window_bias": "attn.hi_relative_position_bias_table",
    "attn.pooled_bias": "attn.lo_relative_position_bias_table",
    "attn.coarse_bias": "attn.g_relative_position_bias_table",
}

Names = dict[str, tuple[str, ...]]


def official_names(model: RViDeformer) -> Names:
    """For each of our tensors the official ones that make it up, one below the other."""
    names: Names = {}
    for ours, theirs in _layers(model):
        for kind in ("weight", "bias"):
            names[f"{ours}.{kind}"] = tuple(f"{each}.{kind}" for each in theirs)
    for ours, place, _ in _blocks(model):
        for table, official in _TABLES.items():
            names[f"{ours}.{table}"] = (f"{place}.{official}",)
    return names


def load_official_state_dict(
    model: RViDeformer,
    state: Mapping[str, Tensor],
    *,
    renames: Mapping[str, str] | None = None,
    place: str = "checkpoint",
) -> None:
    """Fill a model of the training form with the weights of a published checkpoint.

    Index tables and position codes in the checkpoint are compared with ours and left out.

    Args:
        model: What to fill.
        state: The official state dict.
        renames: Regular expressions and what to put in their place, applied to each of its keys
            in order; for a checkpoint whose names differ from the assumed ones.
        place: What an error names, usually the file.

    Raises:
        GraftworkError: a key is missing, unknown or of another shape, or a table of positions is
            not as ours.
    """
    if model.config.form != "training":
        raise GraftworkError(
            f"{place}: has the training form; load it in a model of that form, then merge"
        )
    rest = _renamed(state, renames or {}, place)
    own = model.state_dict()
    ready = {}
    for ours, theirs in official_names(model).items():
        parts = [_take(rest, name, place) for name in theirs]
        ready[ours] = _shaped(torch.cat(parts), own[ours], f"{place}: {' + '.join(theirs)}")
    _check_positions(model, rest, place)
    if rest:
        raise GraftworkError(
            f"{place}: '{next(iter(rest))}' ({len(rest)} keys left) has no place in this model; "
            "choose the checkpoint's own variant, or give `renames`"
        )
    model.load_state_dict(ready)


def read_official(path: Path) -> dict[str, Tensor]:
    """The state dict of an official file, without running any code that it holds.

    The published files are whole pickled modules, which cannot be read safely. Convert each once,
    where the official code is installed and trusted:

        torch.save(torch.load("model.pth", weights_only=False).state_dict(), "weights.pth")

    Raises:
        GraftworkError: the file is missing, or holds more than tensors.
    """
    if path.suffix == ".safetensors":
        return tensorfile.read(path, what="model")[0]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise GraftworkError(f"{path}: cannot be read; give the checkpoint's file") from error
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise GraftworkError(
            f"{path}: holds more than tensors, or is cut short; save its `state_dict()` once "
            "where the official code is installed (see `read_official`)"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise GraftworkError(f"{path}: is no state dict; save the model's `state_dict()` alone")
    return state


def _layers(model: RViDeformer) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Our layers and theirs."""
    for name in ("conv_first", "conv_last"):
        yield name, (name,)
    yield "enter.norm", ("stage8.0.1",)
    yield "enter.linear", ("stage8.0.2",)
    yield "leave.norm", ("norm",)
    yield "leave.linear", ("conv_after_body",)
    for i in range(7):
        yield f"stages.{i}.resize.norm", (f"stage{i + 1}.reshape.1",)
        if i:
            yield f"stages.{i}.resize.linear", (f"stage{i + 1}.reshape.2",)
        for group, number in (("temporal", 1), ("spatial", 2)):
            yield f"stages.{i}.{group}.conv.linear", (f"stage{i + 1}.linear{number}",)
            yield f"stages.{i}.{group}.conv.conv", (f"stage{i + 1}.conv{number}",)
    for i in range(len(model.refinement)):
        yield f"refinement.{i}.conv.linear", (f"stage8.{i + 1}.linear",)
        yield f"refinement.{i}.conv.conv", (f"stage8.{i + 1}.conv",)
    for ours, theirs, block in _blocks(model):
        for layer, official in (_LINEARS | (_MUTUAL if block.temporal else {})).items():
            yield f"{ours}.{layer}", tuple(f"{theirs}.{each}" for each in official)


def _blocks(model: RViDeformer) -> Iterator[tuple[str, str, Block]]:
    """Our blocks by name, and their names."""
    for name, block in model.named_modules():
        if isinstance(block, Block):
            part, i, *inner, j = name.replace("blocks.", "").split(".")
            if part == "refinement":
                yield name, f"stage8.{int(i) + 1}.residual_group.blocks.{j}", block
            else:
                group = "12"[inner == ["spatial"]]
                yield name, f"stage{int(i) + 1}.residual_group{group}.blocks.{j}", block


def _renamed(
    state: Mapping[str, Tensor], renames: Mapping[str, str], place: str
) -> dict[str, Tensor]:
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        new = name.removeprefix("module.")  # as DataParallel saves
        for pattern, put in renames.items():
            new = re.sub(pattern, put, new)
        if new in renamed:
            raise GraftworkError(f"{place}: two keys become '{new}'; make `renames` narrower")
        renamed[new] = tensor
    return renamed


def _take(rest: dict[str, Tensor], name: str, place: str) -> Tensor:
    if name not in rest:
        raise GraftworkError(
            f"{place}: '{name}' is missing; choose the checkpoint's own variant, or give `renames`"
        )
    return rest.pop(name)


def _shaped(tensor: Tensor, own: Tensor, what: str) -> Tensor:
    if tensor.dim() == 5:  # 1x3x3 in 3-D, 3x3 here
        tensor = tensor.squeeze(2)
    if tensor.shape != own.shape:
        raise GraftworkError(
            f"{what}: shape {list(tensor.shape)}, this model has {list(own.shape)}; choose the "
            "checkpoint's own variant"
        )
    return tensor


def _check_positions(model: RViDeformer, rest: dict[str, Tensor], place: str) -> None:
    """Compare what the checkpoint saved and we make anew, and take it out."""
    for _, theirs, block in _blocks(model):
        for name in [name for name in rest if name.startswith(f"{theirs}.attn.")]:
            leaf = name.rpartition(".")[2]
            if leaf.endswith("position_index"):
                own = relative_index(block.window[0], block.window, torch.device("cpu"))
            elif leaf == "position_bias":
                own = _code(block)
            else:
                continue
            saved = rest.pop(name).cpu()
            if saved.numel() != own.numel() or not torch.allclose(
                saved.reshape(own.shape).to(own.dtype), own, atol=1e-5
            ):
                raise GraftworkError(
                    f"{place}: '{name}' orders positions in another way than this model, whose "
                    "output would differ; its weights cannot be used as they are"
                )


def _code(block: Block) -> Tensor:
    width = block.norm1.normalized_shape[0]
    return sine_code(*block.window[1:], width, torch.float32, torch.device("cpu"))
