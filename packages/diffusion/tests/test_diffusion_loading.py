"""Loading: what works, and one clear line for what does not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import nn

from graftwork.backbones.diffusion.backbone import SITES, StableDiffusion
from graftwork.backbones.diffusion.parts import Parts
from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, graft
from graftwork.nn.match import match_sites

Make = Callable[..., StableDiffusion]


@pytest.fixture
def folder(pipeline_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(pipeline_folder, tmp_path / "sd"))


def test_everything_is_frozen_in_float32_and_in_evaluation_mode(backbone: StableDiffusion) -> None:
    for part in (backbone.module, backbone.vae):
        assert not any(p.requires_grad or p.dtype != torch.float32 for p in part.parameters())
        assert not any(module.training for module in part.modules())


def test_files_in_half_precision_are_read_as_float32(
    folder: Path, pipeline_of: Callable[[], StableDiffusionPipeline], make_backbone: Make
) -> None:
    pipeline_of().to(torch.float16).save_pretrained(folder, variant="fp16")
    for file in folder.glob("*/*.safetensors"):
        if ".fp16." not in file.name:
            file.unlink()
    backbone = make_backbone(path=str(folder), variant="fp16")
    parts = (backbone.module, backbone.vae)
    assert {p.dtype for part in parts for p in part.parameters()} == {torch.float32}


def test_the_fingerprint_is_that_of_the_weights_alone(make_backbone: Make) -> None:
    one, other = make_backbone(), make_backbone()
    handle = graft(other.module, "lora", {"rank": 1}, sites=SITES)
    assert one.fingerprint() == other.fingerprint() == fingerprint(one.module)
    handle.detach()
    with torch.no_grad():
        other.module.unet.conv_in.bias.add_(1)
    assert one.fingerprint() != other.fingerprint()


def test_the_default_sites_are_the_128_projections_of_stable_diffusion_1() -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768, attention_head_dim=8)
    sites = match_sites(Parts(unet=unet, text_encoder=nn.Linear(1, 1)), SITES)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964
    assert len(sites) == 128
    assert sum(site.rows for site in sites.values()) == 99_840
    assert sum(site.cols for site in sites.values()) == 99_456


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(part: str, folder: Path, make_backbone: Make) -> None:
    shutil.rmtree(folder / part)
    with pytest.raises(GraftworkError, match=f"the pipeline has no {part}; copy"):
        make_backbone(path=str(folder))


def test_missing_weights_are_never_taken_from_a_pickle(folder: Path, make_backbone: Make) -> None:
    for file in (folder / "unet").glob("*.safetensors"):
        torch.save({}, file.with_suffix(".bin"))
        file.unlink()
    with pytest.raises(GraftworkError, match=r"no \.safetensors weights .*safe_serialization=True"):
        make_backbone(path=str(folder))


def test_weights_cut_short_are_named(folder: Path, make_backbone: Make) -> None:
    file = next((folder / "vae").glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(GraftworkError, match=rf"{file.name}: its weights are cut short"):
        make_backbone(path=str(folder))


def test_a_pipeline_of_another_kind_is_refused(folder: Path, make_backbone: Make) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index |= {"_class_name": "StableDiffusionXLPipeline", "text_encoder_2": ["transformers", "X"]}
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(GraftworkError, match="StableDiffusionXLPipeline with 'text_encoder_2'"):
        make_backbone(path=str(folder))


def test_a_broken_index_is_refused(folder: Path, make_backbone: Make) -> None:
    (folder / "model_index.json").write_text("[]")
    with pytest.raises(GraftworkError, match="not a pipeline's index"):
        make_backbone(path=str(folder))


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nothing/here/at/all", "no such file or folder"),
        ("missing.safetensors", "no such file or folder"),
        ("old.ckpt", r"a \.ckpt file can run code .* convert it to \.safetensors"),
        ("empty", r"not a pipeline's folder \(no model_index.json\)"),
        ("notes.txt", "not a .safetensors file"),
    ],
)
def test_paths_that_hold_no_pipeline(
    name: str, complaint: str, tmp_path: Path, make_backbone: Make
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.ckpt").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(GraftworkError, match=complaint) as error:
        make_backbone(path=str(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_hub_that_cannot_be_reached_is_one_line(
    make_backbone: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(GraftworkError, match="no folder here, and the hub does not") as error:
        make_backbone(path="nobody/has-this-model")
    assert "\n" not in str(error.value)


def test_the_hub_is_asked_for_safe_files_of_a_revision_only(
    make_backbone: Make,
    monkeypatch: pytest.MonkeyPatch,
    pipeline_of: Callable[[], StableDiffusionPipeline],
) -> None:
    asked: dict[str, object] = {}

    def from_pretrained(name: str, **options: object) -> StableDiffusionPipeline:
        asked.update(options, name=name)
        return pipeline_of()

    monkeypatch.setattr(StableDiffusionPipeline, "from_pretrained", from_pretrained)
    make_backbone(path="owner/name", revision="abc", variant="fp16")
    assert (asked["name"], asked["revision"], asked["variant"]) == ("owner/name", "abc", "fp16")
    assert asked["use_safetensors"] is True
    assert asked["safety_checker"] is None


def test_an_inpainting_unet_is_refused(folder: Path, make_backbone: Make) -> None:
    config = json.loads((folder / "unet" / "config.json").read_text())
    unet = UNet2DConditionModel.from_config({**config, "in_channels": 9})
    unet.save_pretrained(folder / "unet")
    with pytest.raises(GraftworkError, match="takes 9 channels and its VAE makes 4"):
        make_backbone(path=str(folder))


def test_a_resolution_that_does_not_fit_names_the_nearest(make_backbone: Make) -> None:
    with pytest.raises(GraftworkError, match=r"backbone.resolution: 31 .*multiple of 4; use 32"):
        make_backbone(resolution=31)


def test_the_records_load_and_their_settings_are_strict(pipeline_folder: Path) -> None:
    record = registry.find("backbones", "stable-diffusion")
    settings = parse(record.settings_class(), {"path": str(pipeline_folder)}, "run.toml: backbone")
    assert isinstance(record.load()(settings), StableDiffusion)
    with pytest.raises(GraftworkError, match=r"run.toml: backbone.path"):
        parse(record.settings_class(), {}, "run.toml: backbone")
    assert registry.find("formats", "diffusers").load().__name__ == "DiffusersFormat"
    assert registry.find("backbones", "tiny-sd").default_loss == "denoising"
