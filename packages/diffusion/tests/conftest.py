"""A random Stable Diffusion of a few thousand weights, built from the real classes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.settings import StableDiffusionConfig
from graftwork.nn.text_to_image import CaptionedImages

torch.set_num_threads(1)

TRIGGER = "sks"


class Squares(CaptionedImages):
    """Pictures of one colour each; counts how often they are read."""

    def __init__(self, count: int = 3, *, trigger: str | None = TRIGGER, size: int = 20) -> None:
        self.count = count
        self.trigger = trigger
        self.size = size
        self.reads = 0

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> Image.Image:
        self.reads += 1
        return Image.new("RGB", (self.size, self.size + 6), (60 * index % 255, 120, 200))

    def caption(self, index: int) -> str:
        return f"a photo of {self.trigger or 'one'} cat {index % 2}"

    def caption_free(self, index: int) -> str | None:
        return f"a photo of cat {index % 2}" if self.trigger else None

    def check(self) -> None:
        pass

    def hash(self) -> str:
        return f"squares-{self.count}-{self.size}"


def make_tokenizer() -> CLIPTokenizer:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789,"
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


def make_pipeline(**scheduler: object) -> StableDiffusionPipeline:
    """UNet 4x8x8 latents, VAE factor 2, text width 16: 16x16 pictures."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    return StableDiffusionPipeline(
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            layers_per_block=1,
            attention_head_dim=2,
            cross_attention_dim=16,
            norm_num_groups=4,
        ),
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
            latent_channels=4,
            sample_size=16,
        ),
        text_encoder=CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=32,
                projection_dim=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=77,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        ),
        tokenizer=tokenizer,
        scheduler=DDIMScheduler(
            **{
                "beta_start": 0.00085,
                "beta_end": 0.012,
                "beta_schedule": "scaled_linear",
                "clip_sample": False,
                "set_alpha_to_one": False,
                "steps_offset": 1,
                **scheduler,
            }
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


@pytest.fixture(scope="session")
def pipeline_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "sd"
    make_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture
def make_backbone(pipeline_folder: Path) -> Callable[..., StableDiffusion]:
    """A fresh backbone with the given settings."""

    def make(**settings: object) -> StableDiffusion:
        return StableDiffusion(StableDiffusionConfig(**{"path": str(pipeline_folder), **settings}))

    return make


@pytest.fixture
def backbone(make_backbone: Callable[..., StableDiffusion]) -> StableDiffusion:
    return make_backbone()


@pytest.fixture
def squares() -> type[Squares]:
    return Squares


@pytest.fixture
def pipeline_of() -> Callable[..., StableDiffusionPipeline]:
    return make_pipeline


@pytest.fixture
def generator() -> Callable[[int], torch.Generator]:
    return lambda seed=0: torch.Generator().manual_seed(seed)
