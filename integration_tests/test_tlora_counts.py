"""TLoRA's parameters on the attention of real UNets, built from their configurations alone."""

import math

import pytest
import torch
from diffusers import UNet2DConditionModel

from graftwork.adapters.tlora import TLoRA, TLoRAConfig
from graftwork.nn.match import match_sites

PROJECTIONS = ["*.to_q", "*.to_k", "*.to_v", "*.to_out.0"]


def projections(**config):
    """How often each shape of site occurs."""
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
    found = {}
    for site in match_sites(unet, PROJECTIONS).values():
        found.setdefault((site.rows, site.cols), []).append(site)
    return found


@pytest.fixture(scope="module")
def sd15():
    return projections(cross_attention_dim=768)


@pytest.fixture(scope="module")
def sdxl():
    return projections(
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )


def count(shapes, **settings):
    total = 0
    for sites in shapes.values():
        with torch.device("meta"):
            adapter = TLoRA(sites[0], TLoRAConfig(**settings))
        total += len(sites) * sum(p.numel() for p in adapter.parameters())
    return total


def test_sd15(sd15):
    """arXiv:2501.08727: TLoRA*(2,4) 0.94 M, TLoRA(2,6) 0.40 M."""
    assert sum(map(len, sd15.values())) == 128
    assert count(sd15, transform_rank=2, residual="lora", rank=4) == 941_440
    assert count(sd15, transform_rank=2, residual="tensor-ring", rank=6) == 400_288


def test_sdxl(sdxl):
    """arXiv:2501.08727: TLoRA(1,2) 0.4 M, 27 % of LoRA of rank 1."""
    assert sum(map(len, sdxl.values())) == 560
    ring = count(sdxl, transform_rank=1, residual="tensor-ring", rank=2)
    lora = count(sdxl, transform_rank=0, residual="lora", rank=1)
    assert (ring, lora) == (396_720, 1_451_520)
    assert math.floor(100 * ring / lora) == 27
    assert count(sdxl, transform_rank=1, residual="lora", rank=1) == 1_697_040
