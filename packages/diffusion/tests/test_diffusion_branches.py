"""DreamArtist++: a LoRA for each branch of guidance, beside a learned pair of words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.core.errors import GraftworkError
from graftwork.losses.dreamartist import DreamArtistLoss, DreamArtistLossConfig
from graftwork.nn import Graft, graft, load_graft
from graftwork.nn.branches import acting_on, branched
from graftwork.nn.denoising import DenoisingStep

Make = Callable[..., StableDiffusion]
NEEDS = frozenset({"prediction", "negative"})
UNET = ("unet.*.to_k", "unet.*.to_v", "unet.*.ff.net.*")
TEXT = "text_encoder.*.q_proj"


def lora(backbone: StableDiffusion, branch: Any, sites: Any, seed: int) -> Graft:
    handle = graft(backbone.module, "lora", {"rank": 2}, sites=sites, name=f"lora-{branch}")
    handle.branch = branch
    _fill(handle, seed)
    return handle


def words(backbone: StableDiffusion) -> Graft:
    sites = backbone.token_sites()
    handle = graft(backbone.module, "dreamartist", {"placeholder": "sks"}, sites=sites)
    _fill(handle, 1)
    return handle


def _fill(handle: Graft, seed: int) -> None:
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.normal_(std=0.4)


def one_step(backbone: StableDiffusion, data: Any) -> DenoisingStep:
    generator = torch.Generator().manual_seed(5)
    return backbone.step(backbone.prepare(data), [0, 2, 1], needs=NEEDS, generator=generator)


@pytest.mark.parametrize("sites", [UNET, (*UNET, TEXT)], ids=["unet", "unet and text encoder"])
def test_each_branch_has_the_prediction_and_gradients_of_its_own_lora(
    sites: Any, make_backbone: Make, squares: Any
) -> None:
    """Against two backbones that carry one LoRA each, on every prompt."""
    both = make_backbone()
    handles = {"words": words(both)}
    for branch, seed in (("positive", 2), ("negative", 3)):
        handles[branch] = lora(both, branch, sites, seed)
    step = one_step(both, squares())
    loss = DreamArtistLoss(DreamArtistLossConfig())
    loss(step).backward()

    alone: dict[str, Tensor] = {}
    singles: dict[str, Graft] = {}
    for branch, field, seed in (("positive", "prediction", 2), ("negative", "negative", 3)):
        backbone = make_backbone()
        words(backbone)
        handle = lora(backbone, "both", sites, seed)
        other = one_step(backbone, squares())
        alone[field] = getattr(other, field)
        torch.testing.assert_close(getattr(step, field), alone[field], atol=1e-5, rtol=0)
        singles[branch] = handle
    guided = DenoisingStep(
        prediction_type=step.prediction_type,
        clean=step.clean,
        noise=step.noise,
        alpha_bar=step.alpha_bar,
        prediction=alone["prediction"],
        negative=alone["negative"],
    )
    loss(guided).backward()
    for branch in ("positive", "negative"):
        expected = dict(singles[branch].named_parameters())
        for name, parameter in handles[branch].named_parameters():
            assert parameter.grad is not None
            grad = expected[name].grad
            torch.testing.assert_close(parameter.grad, grad, atol=1e-5, rtol=1e-3)
            assert parameter.grad.any(), name


def test_samples_are_guided_with_a_lora_on_each_side(make_backbone: Make) -> None:
    from graftwork.backbones.diffusion.sampling import start_noise

    backbone = make_backbone()
    words(backbone)
    lora(backbone, "positive", (*UNET, TEXT), 2)
    lora(backbone, "negative", (*UNET, TEXT), 3)
    ours = backbone.sample(["a sks cat"], [4], steps=3, guidance=3.0)
    low = backbone.sample(["a sks cat"], [4], steps=3, guidance=1.0)

    def single(branch: str, prompt: str) -> tuple[StableDiffusion, Tensor]:
        one = make_backbone()
        words(one)
        lora(one, "both", (*UNET, TEXT), {"positive": 2, "negative": 3}[branch])
        from graftwork.backbones.diffusion import text
        from graftwork.nn.words import LearnedWords

        with torch.no_grad():
            known = LearnedWords.of(one.module)
            return one, text.embed_texts(one.module.text_encoder, one.tokenizer, [prompt], known)

    sides = [single("negative", "a sks-neg cat"), single("positive", "a sks cat")]
    for guidance, found in ((3.0, ours), (1.0, low)):
        scheduler = backbone.scheduler
        scheduler.set_timesteps(3)
        latent = start_noise((4, 8, 8), [4])
        for timestep in scheduler.timesteps:
            with torch.no_grad():
                without, under = (
                    one.module.unet(latent, timestep, encoder_hidden_states=embedding).sample
                    for one, embedding in sides
                )
            prediction = without + guidance * (under - without)
            latent = scheduler.step(prediction, timestep, latent).prev_sample
        with torch.no_grad():
            expected = (backbone.vae.decode(latent / 0.18215).sample / 2 + 0.5).clamp(0, 1)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_a_branch_is_left_by_weight_and_disabling(make_backbone: Make) -> None:
    backbone = make_backbone()
    assert not branched(backbone.module)
    handle = lora(backbone, "negative", UNET, 3)
    assert branched(backbone.module)
    with acting_on(backbone.module, "positive"):
        assert not handle.enabled
    with acting_on(backbone.module, "negative"):
        assert handle.enabled
    with handle.disabled():
        assert not branched(backbone.module)
    handle.weight = 0.0
    assert not branched(backbone.module)


def test_checkpointing_with_a_branch_is_refused(make_backbone: Make, squares: Any) -> None:
    backbone = make_backbone(gradient_checkpointing=True)
    words(backbone)
    one_step(backbone, squares())
    examples, generator = backbone.prepare(squares()), torch.Generator().manual_seed(5)
    lora(backbone, "negative", UNET, 3)
    with pytest.raises(GraftworkError, match=r"gradient_checkpointing: does not go with a graft"):
        backbone.prepare(squares())
    with pytest.raises(GraftworkError, match=r"gradient_checkpointing: does not go with a graft"):
        backbone.step(examples, [0, 1], needs=NEEDS, generator=generator)


def test_files_bring_the_sides_back(make_backbone: Make, tmp_path: Path) -> None:
    backbone, other = make_backbone(), make_backbone()
    handles = {"words": words(backbone)}
    for branch, seed in (("positive", 2), ("negative", 3)):
        handles[branch] = lora(backbone, branch, UNET, seed)
    for name, handle in handles.items():
        load_graft(other.module, handle.save(tmp_path / name), name=name)
    assert branched(other.module)
    drawn, again = (b.sample(["a sks cat"], [4], steps=2, guidance=3.0) for b in (backbone, other))
    assert torch.equal(drawn, again)


def test_it_trains(make_backbone: Make, squares: Any) -> None:
    """The whole of DreamArtist++: words and both LoRAs learn together, each at its own rate."""
    backbone = make_backbone()
    pair = words(backbone)
    loras = [
        lora(backbone, branch, UNET, seed) for branch, seed in (("positive", 2), ("negative", 3))
    ]
    groups = [{"params": list(pair.parameters()), "lr": 0.03}]
    groups += [{"params": list(h.parameters()), "lr": 0.01} for h in loras]
    optimizer = torch.optim.AdamW(groups)
    loss = DreamArtistLoss(DreamArtistLossConfig(guidance=3.0, min_snr_gamma=2.0))
    losses = []
    for _ in range(12):
        value = loss(one_step(backbone, squares()))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.8 * losses[0]
