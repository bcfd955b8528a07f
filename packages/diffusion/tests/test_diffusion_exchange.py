"""Files of other makers, conversions, and the plain pipeline that remains after a merge."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.lora_file import NAME
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, grafts, load_graft
from graftwork.nn.exporting import export
from graftwork.nn.merging_together import merge_together


class SDXL(nn.Module):
    """A UNet laid out as Stable Diffusion XL's, without its text encoders."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16, 16),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            layers_per_block=2,
            transformer_layers_per_block=(1, 1, 2),
            attention_head_dim=2,
            cross_attention_dim=16,
            norm_num_groups=4,
            use_linear_projection=True,
        ).eval()

    @torch.no_grad()
    def forward(self) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        noisy, words = (torch.randn(s, generator=generator) for s in ((1, 4, 8, 8), (1, 5, 16)))
        return self.unet(noisy, torch.tensor([3]), encoder_hidden_states=words).sample


# Layers of SDXL's own code, and what diffusers calls them: one of each kind of block.
SGM = {
    "input_blocks_4_1_transformer_blocks_0_attn1_to_q": (
        "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    ),
    "input_blocks_8_1_transformer_blocks_1_attn2_to_k": (
        "down_blocks.2.attentions.1.transformer_blocks.1.attn2.to_k"
    ),
    "input_blocks_7_1_proj_in": "down_blocks.2.attentions.0.proj_in",
    "input_blocks_5_0_in_layers_2": "down_blocks.1.resnets.1.conv1",
    "middle_block_1_transformer_blocks_0_attn1_to_out_0": (
        "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
    ),
    "output_blocks_5_1_transformer_blocks_0_ff_net_2": (
        "up_blocks.1.attentions.2.transformer_blocks.0.ff.net.2"
    ),
    "output_blocks_1_1_transformer_blocks_1_attn1_to_v": (
        "up_blocks.0.attentions.1.transformer_blocks.1.attn1.to_v"
    ),
}


def sgm_file(path: Path, model: SDXL, *, alpha: bool = True) -> dict[str, Tensor]:
    """A LoRA of rank 2 and alpha 3 in SDXL's names; the change of every layer by module."""
    tensors, changes = {}, {}
    generator = torch.Generator().manual_seed(4)
    for name, module in SGM.items():
        shape = model.unet.get_submodule(module).weight.shape
        down = torch.randn(2, *shape[1:], generator=generator)
        up = 0.3 * torch.randn(shape[0], 2, *(1 for _ in shape[2:]), generator=generator)
        tensors[f"lora_unet_{name}.lora_down.weight"] = down
        tensors[f"lora_unet_{name}.lora_up.weight"] = up
        if alpha:
            tensors[f"lora_unet_{name}.alpha"] = torch.tensor(3.0)
        scale = 3 / 2 if alpha else 1.0
        changes[module] = (scale * up.flatten(1) @ down.flatten(1)).view(shape)
    save_file(tensors, path)
    return changes


@pytest.mark.parametrize("alpha", [True, False])
def test_kohya_names_of_sdxl_are_read_by_the_tables_of_diffusers(
    alpha: bool, tmp_path: Path
) -> None:
    model, dense = SDXL(), SDXL()
    changes = sgm_file(tmp_path / "xl.safetensors", model, alpha=alpha)
    before = model()
    handle = load_graft(model, tmp_path / "xl.safetensors")
    assert {site.removeprefix("unet.") for site in handle.sites} == set(changes)
    with torch.no_grad():
        for module, change in changes.items():
            dense.unet.get_submodule(module).weight.add_(change)
    assert (model() - before).abs().max() > 0.01
    torch.testing.assert_close(model(), dense(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ("lora_unet_input_blocks_4_1_proj_in.dora_scale", "is no part of a LoRA"),
        ("lora_unet_input_blocks_99_1_x.lora_down.weight", "cannot tell its layers"),
        ("lora_unet_output_blocks_5_1_y.omega", "is no part of a LoRA"),
    ],
)
def test_a_bad_file_of_sdxl_is_one_clear_error(extra: str, says: str, tmp_path: Path) -> None:
    model, file = SDXL(), tmp_path / "xl.safetensors"
    sgm_file(file, model)
    save_file(load_file(file) | {extra: torch.ones(2, 2)}, file)
    with pytest.raises(GraftworkError, match=says) as error:
        load_graft(model, file)
    assert "\n" not in str(error.value)
    assert not grafts(model)


def test_svd_into_the_layout_of_diffusers(
    make_backbone: Callable[[], StableDiffusion], tmp_path: Path
) -> None:
    """The rank that loses nothing gives the same pictures; a lower one tells what it lost."""
    backbone, other = make_backbone(), make_backbone()
    sites = "unet.*.attn?.to_[qkv]"
    handle = graft(backbone.module, "loha", {"rank": 2}, sites=sites)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.normal_(std=0.5)
    wanted = backbone.sample(["a cat"], [0], steps=2)
    exact = export(handle, tmp_path / "4", format="diffusers", settings=svd(4))
    assert exact.path == tmp_path / "4" / NAME
    assert (exact.error or 0) < 1e-3
    load_graft(other.module, tmp_path / "4")
    torch.testing.assert_close(other.sample(["a cat"], [0], steps=2), wanted, atol=1e-3, rtol=0)
    lossy = export(handle, tmp_path / "1", format="diffusers", settings=svd(1))
    assert lossy.error is not None
    assert 0.1 < lossy.error < 1


def svd(rank: int) -> dict[str, Any]:
    return {"convert": "svd", "rank": rank}


def test_what_is_saved_after_a_merge_is_a_plain_pipeline(
    make_backbone: Callable[..., StableDiffusion], tmp_path: Path
) -> None:
    backbone = make_backbone()
    first = graft(backbone.module, "lora", {"rank": 2}, sites="unet.*.to_q", name="a")
    second = graft(backbone.module, "dora", {"rank": 2}, sites="unet.*.to_[qk]", name="b")
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in (*first.parameters(), *second.parameters()):
            parameter.add_(0.3 * torch.randn_like(parameter))
    wanted = backbone.sample(["a cat"], [0], steps=2)
    with pytest.raises(GraftworkError, match="adapters are on the backbone; merge or detach"):
        backbone.save(tmp_path / "model")
    merge_together([first, second])
    backbone.save(tmp_path / "model")
    plain = StableDiffusionPipeline.from_pretrained(tmp_path / "model", safety_checker=None)
    assert type(plain.unet) is UNet2DConditionModel
    again = make_backbone(path=str(tmp_path / "model"))
    torch.testing.assert_close(again.sample(["a cat"], [0], steps=2), wanted, atol=1e-4, rtol=0)
    with pytest.raises(GraftworkError, match="exists already"):
        backbone.save(tmp_path / "model")
