"""Sampling: pictures depend on prompt, seed and grafts, and on nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline
from torch import Tensor

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.sampling import start_noise
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, frozen, graft

Make = Callable[..., StableDiffusion]
PROMPTS = ["a photo of sks cat", "a cat", "", "a photo of sks cat"]
UNET = ("unet.*.attn?.to_[qkv]", "unet.*.attn?.to_out.0")


def strong(backbone: StableDiffusion, sites: str | Sequence[str], **settings: Any) -> Graft:
    handle = graft(backbone.module, "lora", {"rank": 2, **settings}, sites=sites)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in handle.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.5)
    return handle


def by_diffusers(
    backbone: StableDiffusion, prompts: list[str], seeds: list[int], **how: Any
) -> Tensor:
    pipeline = backbone.pipeline
    pipeline.set_progress_bar_config(disable=True)
    noise = start_noise((4, 8, 8), seeds)
    size = {"height": 16, "width": 16}
    return pipeline(prompts, latents=noise, output_type="pt", **size, **how).images


@pytest.mark.parametrize("guidance", [5.0, 1.0, 0.0])
def test_the_pictures_are_those_of_the_pipeline(guidance: float, backbone: StableDiffusion) -> None:
    ours = backbone.sample(PROMPTS, [0, 1, 2, 3], steps=4, guidance=guidance)
    how = {"num_inference_steps": 4, "guidance_scale": guidance}
    theirs = by_diffusers(backbone, PROMPTS, [0, 1, 2, 3], **how)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    assert ours.shape == (4, 3, 16, 16)
    assert ours.min() >= 0
    assert ours.max() <= 1


@pytest.mark.parametrize("kind", ["v_prediction", "sample"])
def test_other_prediction_types_are_sampled_as_the_pipeline_does(
    kind: str,
    pipeline_of: Callable[..., StableDiffusionPipeline],
    make_backbone: Make,
    tmp_path: Any,
) -> None:
    pipeline_of(prediction_type=kind).save_pretrained(tmp_path)
    backbone = make_backbone(path=str(tmp_path))
    ours = backbone.sample(["a cat"], [0], steps=3)
    theirs = by_diffusers(backbone, ["a cat"], [0], num_inference_steps=3, guidance_scale=5.0)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_another_scheduler_in_the_files_does_not_clip_the_latents(
    pipeline_of: Callable[..., StableDiffusionPipeline], make_backbone: Make, tmp_path: Any
) -> None:
    pipeline = pipeline_of()
    pipeline.scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", beta_end=0.012, steps_offset=1
    )
    pipeline.save_pretrained(tmp_path)
    config = make_backbone(path=str(tmp_path)).scheduler.config
    assert not config.clip_sample
    assert not config.set_alpha_to_one


def test_a_picture_does_not_depend_on_its_company(backbone: StableDiffusion) -> None:
    together = backbone.sample(PROMPTS, [4, 5, 6, 7], steps=3)
    for batch in (1, 3):
        torch.testing.assert_close(
            backbone.sample(PROMPTS, [4, 5, 6, 7], steps=3, batch=batch),
            together,
            atol=1e-5,
            rtol=0,
        )
    alone = backbone.sample([PROMPTS[1]], [5], steps=3)
    torch.testing.assert_close(alone, together[1:2], atol=1e-5, rtol=0)


def test_the_same_again_and_another_seed_differs(backbone: StableDiffusion) -> None:
    first = backbone.sample(["a cat"] * 2, [0, 1], steps=2)
    torch.manual_seed(99)
    assert torch.equal(backbone.sample(["a cat"] * 2, [0, 1], steps=2), first)
    assert not torch.equal(first[0], first[1])


def test_grafts_act_by_weight_and_not_when_frozen(make_backbone: Make) -> None:
    backbone = make_backbone()
    before = backbone.sample(["a cat"], [0], steps=2)
    handle = strong(backbone, UNET)
    adapted = backbone.sample(["a cat"], [0], steps=2)
    assert (adapted - before).abs().max() > 1e-2
    with frozen(backbone.module):
        assert torch.equal(backbone.sample(["a cat"], [0], steps=2), before)
    handle.weight = 0.0
    assert torch.equal(backbone.sample(["a cat"], [0], steps=2), before)
    handle.weight = 1.0
    theirs = by_diffusers(backbone, ["a cat"], [0], num_inference_steps=2, guidance_scale=5.0)
    torch.testing.assert_close(adapted, theirs, atol=1e-5, rtol=0)


def test_text_encoder_grafts_act_on_prompts(make_backbone: Make) -> None:
    backbone = make_backbone()
    before = backbone.sample(["a cat"], [0], steps=2)
    strong(backbone, "text_encoder.*.q_proj")
    adapted = backbone.sample(["a cat"], [0], steps=2)
    assert (adapted - before).abs().max() > 1e-4
    theirs = by_diffusers(backbone, ["a cat"], [0], num_inference_steps=2, guidance_scale=5.0)
    torch.testing.assert_close(adapted, theirs, atol=1e-5, rtol=0)


def test_sampling_in_the_middle_of_training_drops_nothing_out(make_backbone: Make) -> None:
    backbone = make_backbone()
    handle = strong(backbone, UNET, dropout=0.5)
    expected = backbone.sample(["a cat"], [0], steps=2)
    handle.train()
    assert torch.equal(backbone.sample(["a cat"], [0], steps=2), expected)
    assert all(adapter.training for adapter in handle.sites.values())
    assert not backbone.module.unet.training


def test_no_gradients_are_kept(make_backbone: Make) -> None:
    backbone = make_backbone()
    strong(backbone, UNET)
    assert not backbone.sample(["a cat"], [0], steps=1).requires_grad


def test_low_precision_samples_are_close(make_backbone: Make) -> None:
    exact = make_backbone().sample(["a cat"], [0], steps=3)
    backbone = make_backbone()
    backbone.to(torch.device("cpu"), torch.bfloat16)
    low = backbone.sample(["a cat"], [0], steps=3)
    assert low.dtype == torch.float32
    torch.testing.assert_close(low, exact, atol=0.05, rtol=0)


def test_a_resolution_other_than_the_usual(make_backbone: Make) -> None:
    backbone = make_backbone(resolution=24)
    assert backbone.sample(["a cat"], [0], steps=1).shape == (1, 3, 24, 24)


def test_nothing_asked_nothing_drawn(backbone: StableDiffusion) -> None:
    assert backbone.sample([], []).shape == (0, 3, 16, 16)


def test_prompts_and_seeds_come_in_pairs(backbone: StableDiffusion) -> None:
    with pytest.raises(ValueError, match="2 prompts and 1 seeds"):
        backbone.sample(["a", "b"], [0])


@pytest.mark.parametrize("steps", [0, 1000])
def test_steps_that_the_schedule_has_not_are_refused(steps: int, backbone: StableDiffusion) -> None:
    with pytest.raises(GraftworkError, match="use 1 to 999"):
        backbone.sample(["a cat"], [0], steps=steps)
