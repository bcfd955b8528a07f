"""A single .safetensors file in the layout of the first Stable Diffusion releases.

diffusers reads that layout and does not write it, so the tests rename the weights themselves.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import save_file
from torch import Tensor

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.core.errors import GraftworkError

LAYERS = 1  # layers_per_block of the UNet
TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
VAE = {
    r"mid_block\.resnets\.(\d)": lambda m: f"mid.block_{int(m[1]) + 1}",
    r"mid_block\.attentions\.0": lambda _: "mid.attn_1",
    r"down_blocks\.(\d)\.resnets": lambda m: f"down.{m[1]}.block",
    r"down_blocks\.(\d)\.downsamplers\.0": lambda m: f"down.{m[1]}.downsample",
    r"up_blocks\.(\d)\.resnets": lambda m: f"up.{1 - int(m[1])}.block",
    r"up_blocks\.(\d)\.upsamplers\.0": lambda m: f"up.{1 - int(m[1])}.upsample",
    r"\.group_norm\.": lambda _: ".norm.",
    r"\.to_([qkv])\.": lambda m: f".{m[1]}.",
    r"\.to_out\.0\.": lambda _: ".proj_out.",
    r"conv_norm_out": lambda _: "norm_out",
    r"conv_shortcut": lambda _: "nin_shortcut",
}


def unet_key(key: str, *, attends: set[str]) -> str:
    name, _, leaf = key.rpartition(".")
    if name in TOP:
        return f"{TOP[name]}.{leaf}"
    side, block, kind, index, rest = re.fullmatch(
        r"(down|mid|up)_blocks?(?:\.(\d))?\.(\w+)\.(\d)\.(.+)", key
    ).groups()
    if kind == "resnets":
        inner = next(rest.replace(old, new) for old, new in RESNET.items() if rest.startswith(old))
    else:
        inner = rest
    if side == "mid":
        place = 1 if kind == "attentions" else 2 * int(index)
        return f"middle_block.{place}.{inner}"
    number = int(block) * (LAYERS + 1) + (LAYERS if "sampl" in kind else int(index))
    if kind == "downsamplers":
        return f"input_blocks.{number + 1}.0.{inner.replace('conv', 'op')}"
    if kind == "upsamplers":
        return f"output_blocks.{number}.{2 if f'up.{block}' in attends else 1}.{inner}"
    place = {"resnets": 0, "attentions": 1}[kind]
    start = f"input_blocks.{number + 1}" if side == "down" else f"output_blocks.{number}"
    return f"{start}.{place}.{inner}"


def vae_key(key: str) -> str:
    for pattern, new in VAE.items():
        key = re.sub(pattern, new, key)
    return key


def original(pipeline: StableDiffusionPipeline) -> dict[str, Tensor]:
    unet: Mapping[str, Tensor] = pipeline.unet.state_dict()
    attends = {f"up.{key.split('.')[1]}" for key in unet if re.match(r"up_blocks.*attentions", key)}
    return (
        {f"model.diffusion_model.{unet_key(k, attends=attends)}": v for k, v in unet.items()}
        | {f"first_stage_model.{vae_key(k)}": v for k, v in pipeline.vae.state_dict().items()}
        | {
            f"cond_stage_model.transformer.text_model.{k.removeprefix('text_model.')}": v
            for k, v in pipeline.text_encoder.state_dict().items()
        }
    )


@pytest.fixture
def single_file(tmp_path: Path, pipeline_of: Callable[[], StableDiffusionPipeline]) -> Path:
    tensors = {key: value.contiguous() for key, value in original(pipeline_of()).items()}
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_a_single_file_with_a_local_configuration_is_the_same_model(
    single_file: Path, pipeline_folder: Path, make_backbone: Callable[..., StableDiffusion]
) -> None:
    ours = make_backbone(path=str(single_file), config=str(pipeline_folder))
    theirs = make_backbone()
    assert ours.fingerprint() == theirs.fingerprint()
    picture = ours.sample(["a cat"], [3], steps=2)
    assert torch.equal(picture, theirs.sample(["a cat"], [3], steps=2))


def test_a_file_that_is_cut_short_is_one_clear_error(
    single_file: Path, pipeline_folder: Path, make_backbone: Callable[..., StableDiffusion]
) -> None:
    single_file.write_bytes(single_file.read_bytes()[:-1000])
    with pytest.raises(GraftworkError, match=r"model\.safetensors: its weights are cut short"):
        make_backbone(path=str(single_file), config=str(pipeline_folder))


def test_a_file_of_something_else_is_one_clear_error(
    tmp_path: Path, pipeline_folder: Path, make_backbone: Callable[..., StableDiffusion]
) -> None:
    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    with pytest.raises(GraftworkError, match=r"cannot be read as a Stable Diffusion file"):
        make_backbone(path=str(tmp_path / "other.safetensors"), config=str(pipeline_folder))
