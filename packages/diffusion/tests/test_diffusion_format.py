"""The diffusers format: pictures, not key names, decide whether a file is right."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.lora_file import NAME
from graftwork.backbones.diffusion.lora_format import DiffusersFormat
from graftwork.backbones.diffusion.sampling import start_noise
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, load_graft

UNET = ("unet.*.attn?.to_[qkv]", "unet.*.attn?.to_out.0")
CONVOLUTIONS = ("unet.*.resnets.*.conv?", "unet.conv_in")
TEXT = ("text_encoder.*.q_proj", "text_encoder.*.fc1")
PROMPTS = ["a photo of sks cat", "a cat"]


def strong(backbone: StableDiffusion, method: str, settings: Any, sites: Sequence[str]) -> Graft:
    """A graft that changes the pictures."""
    handle = graft(backbone.module, method, settings, sites=sites)
    torch.manual_seed(7)
    with torch.no_grad():
        for name, parameter in handle.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.3)
            if name.endswith(".magnitude"):
                parameter.mul_(1 + 0.3 * torch.rand_like(parameter))
    return handle


def pictures(backbone: StableDiffusion) -> Tensor:
    return backbone.sample(PROMPTS, [0, 1], steps=3, guidance=3.0)


@pytest.fixture
def in_diffusers(pipeline_folder: Path) -> Callable[[Path], Tensor]:
    """The same pictures by a pipeline that knows nothing of graftwork."""

    def draw(lora: Path | None) -> Tensor:
        pipeline = StableDiffusionPipeline.from_pretrained(pipeline_folder, safety_checker=None)
        pipeline.set_progress_bar_config(disable=True)
        if lora is not None:
            pipeline.load_lora_weights(str(lora))
        return pipeline(
            PROMPTS,
            num_inference_steps=3,
            guidance_scale=3.0,
            latents=start_noise((4, 8, 8), [0, 1]),
            height=16,
            width=16,
            output_type="pt",
        ).images

    return draw


CASES = {
    "lora": ("lora", {"rank": 4, "alpha": 2.0}, UNET),
    "alpha above the rank": ("lora", {"rank": 2, "alpha": 7.0}, UNET),
    "alpha left out": ("lora", {"rank": 3}, UNET),
    "rank-stabilised": ("lora", {"rank": 4, "alpha": 3.0, "rank_stabilized": True}, UNET),
    "convolutions": ("lora", {"rank": 2, "alpha": 1.0}, CONVOLUTIONS),
    "text encoder alone": ("lora", {"rank": 4, "alpha": 8.0}, TEXT),
    "both parts": ("lora", {"rank": 4, "alpha": 2.0}, (*UNET, *TEXT)),
    "dora": ("dora", {"rank": 4, "alpha": 2.0}, UNET),
    "dora, convolutions and text": ("dora", {"rank": 2, "alpha": 3.0}, (*CONVOLUTIONS, *TEXT)),
}


@pytest.mark.parametrize(("method", "settings", "sites"), CASES.values(), ids=CASES)
def test_diffusers_draws_the_same_pictures_and_so_does_a_round_trip(
    method: str,
    settings: dict[str, Any],
    sites: tuple[str, ...],
    make_backbone: Callable[[], StableDiffusion],
    in_diffusers: Callable[[Path | None], Tensor],
    tmp_path: Path,
) -> None:
    backbone = make_backbone()
    before = pictures(backbone)
    handle = strong(backbone, method, settings, sites)
    ours = pictures(backbone)
    assert (ours - before).abs().max() > 0.02, "the graft must show"
    assert handle.export(tmp_path / "out", format="diffusers") == tmp_path / "out" / NAME
    theirs = in_diffusers(tmp_path / "out")
    torch.testing.assert_close(theirs, ours, atol=2e-5, rtol=0)

    other = make_backbone()
    again = load_graft(other.module, tmp_path / "out")
    assert again.method == method
    torch.testing.assert_close(pictures(other), ours, atol=2e-5, rtol=0)
    for key, tensor in handle.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key


def test_the_weight_of_a_lora_is_folded_in(
    make_backbone: Callable[[], StableDiffusion],
    in_diffusers: Callable[[Path | None], Tensor],
    tmp_path: Path,
) -> None:
    backbone = make_backbone()
    handle = strong(backbone, "lora", {"rank": 4, "alpha": 2.0}, UNET)
    handle.weight = -0.5
    handle.export(tmp_path, format="diffusers")
    torch.testing.assert_close(in_diffusers(tmp_path), pictures(backbone), atol=2e-5, rtol=0)


def test_a_dora_at_another_weight_is_refused(backbone: StableDiffusion, tmp_path: Path) -> None:
    handle = strong(backbone, "dora", {"rank": 2}, UNET)
    handle.weight = 0.5
    with pytest.raises(GraftworkError, match="set the graft's weight to 1"):
        handle.export(tmp_path, format="diffusers")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("method", "sites", "complaint"),
    [
        ("sine-lora", UNET, "sine-lora is none of them; set convert = 'svd' with a rank"),
        ("lora", ("text_encoder.*token_embedding",), r"no form for .*token_embedding' \(embedding"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_with_a_remedy(
    method: str, sites: tuple[str, ...], complaint: str, backbone: StableDiffusion, tmp_path: Path
) -> None:
    handle = graft(backbone.module, method, {"rank": 2}, sites=sites)
    with pytest.raises(GraftworkError, match=complaint):
        handle.export(tmp_path, format="diffusers")
    assert not list(tmp_path.iterdir())


def test_files_of_different_ranks_and_alphas_keep_their_meaning(
    make_backbone: Callable[[], StableDiffusion],
    in_diffusers: Callable[[Path | None], Tensor],
    tmp_path: Path,
) -> None:
    """As PEFT writes them, with patterns; here diffusers is the reference."""
    handle = strong(make_backbone(), "lora", {"rank": 4, "alpha": 2.0}, UNET)
    file = handle.export(tmp_path / "lora.safetensors", format="diffusers")
    tensors, metadata = load_file(file), metadata_of(file)
    small = next(key for key in tensors if "lora_A" in key).removesuffix(".lora_A.weight")
    tensors[f"{small}.lora_A.weight"] = tensors[f"{small}.lora_A.weight"][:3].contiguous()
    tensors[f"{small}.lora_B.weight"] = tensors[f"{small}.lora_B.weight"][:, :3].contiguous()
    module = small.removeprefix("unet.")
    metadata["unet.rank_pattern"] = {module: 3}
    metadata["unet.alpha_pattern"] = {module: 9}
    save_file(tensors, file, metadata={"lora_adapter_metadata": json.dumps(metadata)})
    backbone = make_backbone()
    load_graft(backbone.module, file)
    torch.testing.assert_close(in_diffusers(file), pictures(backbone), atol=2e-5, rtol=0)


def test_a_file_without_metadata_acts_at_scale_one_as_in_diffusers(
    make_backbone: Callable[[], StableDiffusion],
    in_diffusers: Callable[[Path | None], Tensor],
    tmp_path: Path,
) -> None:
    handle = strong(make_backbone(), "lora", {"rank": 4, "alpha": 2.0}, (*UNET, *TEXT))
    file = handle.export(tmp_path / "lora.safetensors", format="diffusers")
    save_file(load_file(file), file)
    backbone = make_backbone()
    load_graft(backbone.module, file)
    torch.testing.assert_close(in_diffusers(file), pictures(backbone), atol=2e-5, rtol=0)


def test_names_of_older_releases_are_read(
    make_backbone: Callable[[], StableDiffusion], tmp_path: Path
) -> None:
    backbone = make_backbone()
    handle = strong(backbone, "lora", {"rank": 4}, (*UNET, *TEXT[:1]))
    file = handle.export(tmp_path / "lora.safetensors", format="diffusers")
    old = {
        key.replace(
            "lora_A", "lora.down" if key.startswith("unet") else "lora_linear_layer.down"
        ).replace("lora_B", "lora.up" if key.startswith("unet") else "lora_linear_layer.up"): tensor
        for key, tensor in load_file(file).items()
    }
    save_file(old, file)
    other = make_backbone()
    load_graft(other.module, file)
    assert torch.equal(pictures(other), pictures(backbone))


def test_the_file_carries_alpha_and_only_what_it_needs(
    backbone: StableDiffusion, tmp_path: Path
) -> None:
    handle = strong(backbone, "lora", {"rank": 4, "alpha": 2.0}, UNET)
    metadata = metadata_of(handle.export(tmp_path, format="diffusers"))
    assert (metadata["unet.r"], metadata["unet.lora_alpha"]) == (4, 2)
    assert not any(key.startswith("text_encoder") for key in metadata)


def test_detect_knows_its_files(backbone: StableDiffusion, tmp_path: Path) -> None:
    handle = strong(backbone, "lora", {"rank": 2}, UNET)
    file = handle.export(tmp_path / "lora", format="diffusers")
    assert DiffusersFormat.detect(tmp_path / "lora")
    assert DiffusersFormat.detect(file)
    save_file({"weight": torch.ones(1)}, tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"no")
    for other in ("other.safetensors", "broken.safetensors", "missing", "."):
        assert not DiffusersFormat.detect(tmp_path / other), other


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: {k: v for k, v in t.items() if "lora_B" not in k}, "lacks one factor"),
        (lambda t: {k: v * torch.nan for k, v in t.items()}, "holds NaN or infinity"),
        (lambda t: {**t, "unet.conv_in.lora_B.bias": torch.ones(2)}, "is no part of a LoRA"),
        (lambda t: {**t, "text_encoder_2.a.lora_A.weight": torch.ones(2)}, "belongs to no part"),
        (lambda t: {k.replace("to_q", "to_x"): v for k, v in t.items()}, "has no site"),
        (lambda t: {k: v[..., :1].contiguous() for k, v in t.items()}, "differ in rank"),
        (
            lambda t: {k: torch.ones(2, 3) if "_A" in k else v for k, v in t.items()},
            "made for another model",
        ),
    ],
)
def test_a_bad_file_is_one_clear_error_and_leaves_the_model_alone(
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]],
    complaint: str,
    make_backbone: Callable[[], StableDiffusion],
    tmp_path: Path,
) -> None:
    handle = strong(make_backbone(), "lora", {"rank": 2}, UNET)
    file = handle.export(tmp_path / "out", format="diffusers")
    save_file(change(load_file(file)), file)
    backbone = make_backbone()
    keys = backbone.module.state_dict().keys()
    with pytest.raises(GraftworkError, match=complaint) as error:
        load_graft(backbone.module, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert backbone.module.state_dict().keys() == keys


def test_a_truncated_file_is_one_clear_error(backbone: StableDiffusion, tmp_path: Path) -> None:
    handle = strong(backbone, "lora", {"rank": 2}, UNET)
    file = handle.export(tmp_path, format="diffusers")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(GraftworkError, match="cut short or altered"):
        load_graft(backbone.module, tmp_path, name="other")


def test_merged_into_the_pipeline_it_is_a_plain_pipeline_of_diffusers(
    backbone: StableDiffusion, tmp_path: Path
) -> None:
    """The way out for methods that the format cannot hold."""
    handle = strong(backbone, "dora", {"rank": 2}, UNET)
    adapted = pictures(backbone)
    handle.merge()
    backbone.pipeline.save_pretrained(tmp_path)
    plain = StableDiffusionPipeline.from_pretrained(tmp_path, safety_checker=None)
    plain.set_progress_bar_config(disable=True)
    images = plain(
        PROMPTS,
        num_inference_steps=3,
        guidance_scale=3.0,
        latents=start_noise((4, 8, 8), [0, 1]),
        height=16,
        width=16,
        output_type="pt",
    ).images
    torch.testing.assert_close(images, adapted, atol=2e-5, rtol=0)


def metadata_of(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as content:
        return json.loads(content.metadata()["lora_adapter_metadata"])
