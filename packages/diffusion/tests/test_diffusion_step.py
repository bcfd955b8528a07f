"""One training step."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler, StableDiffusionPipeline
from torch import Tensor

from graftwork.backbones.diffusion import schedule, text
from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.settings import StableDiffusionConfig
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft
from graftwork.nn.denoising import DenoisingStep

Make = Callable[..., StableDiffusion]
PREDICTION = frozenset({"prediction"})
BOTH = frozenset({"prediction", "free"})
UNET = ("unet.*.attn?.to_[qkv]", "unet.*.attn?.to_out.0")
TEXT = "text_encoder.*.q_proj"


def grafted(backbone: StableDiffusion, sites: str | Sequence[str], method: str = "lora") -> Graft:
    handle = graft(backbone.module, method, {"rank": 2}, sites=sites)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in handle.named_parameters():
            if name.endswith(".up"):
                parameter.normal_(std=0.3)
    return handle


def one_step(
    backbone: StableDiffusion,
    data: Any,
    needs: frozenset[str] = BOTH,
    indices: Sequence[int] = (0, 2, 1),
    seed: int = 5,
) -> DenoisingStep:
    generator = torch.Generator().manual_seed(seed)
    return backbone.step(backbone.prepare(data), indices, needs=needs, generator=generator)


def gradients(handle: Graft, loss: Tensor) -> dict[str, Tensor]:
    loss.backward()
    found = {name: p.grad for name, p in handle.named_parameters()}
    assert all(grad is not None for grad in found.values())
    return {name: grad for name, grad in found.items() if grad is not None}


def error(step: DenoisingStep) -> Tensor:
    assert step.prediction is not None
    return (step.prediction - step.target).square().mean()


def test_a_step_is_repeated_bit_for_bit_from_its_generator(
    make_backbone: Make, squares: Any
) -> None:
    one, same = one_step(make_backbone(), squares()), one_step(make_backbone(), squares())
    other = one_step(make_backbone(), squares(), seed=6)
    for name in ("clean", "noise", "alpha_bar", "prediction", "adapted_free", "frozen_free"):
        assert torch.equal(getattr(one, name), getattr(same, name)), name
        assert not torch.equal(getattr(one, name), getattr(other, name)), name


def test_needs_do_not_change_what_is_drawn(backbone: StableDiffusion, squares: Any) -> None:
    plain, pair = one_step(backbone, squares(), PREDICTION), one_step(backbone, squares(), BOTH)
    assert torch.equal(plain.noisy, pair.noisy)
    assert torch.equal(plain.alpha_bar, pair.alpha_bar)
    torch.testing.assert_close(plain.prediction, pair.prediction)


def test_only_what_is_needed_is_computed(
    backbone: StableDiffusion, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    forward = backbone.module.unet.forward

    def counted(sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        batches.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(backbone.module.unet, "forward", counted)
    seen = {}
    for needs in (PREDICTION, frozenset({"free"}), BOTH, frozenset()):
        batches.clear()
        step = one_step(backbone, squares(), frozenset(needs))
        seen[frozenset(needs)] = list(batches)
        assert (step.prediction is None) == ("prediction" not in needs)
        assert (step.adapted_free is None) == (step.frozen_free is None) == ("free" not in needs)
    # One pass for the adapted captions together, one for the frozen ones.
    assert list(seen.values()) == [[3], [3, 3], [6, 3], []]


def test_the_fields_obey_the_forward_process(backbone: StableDiffusion, squares: Any) -> None:
    """Against the library's own noising of the same numbers."""
    data = squares()
    step = one_step(backbone, data, indices=[0, 1])
    generator = torch.Generator().manual_seed(5)
    eps = torch.randn(2, 4, 8, 8, generator=generator)
    noise = torch.randn(2, 4, 8, 8, generator=generator)
    timesteps = torch.randint(1000, (2,), generator=generator)
    examples = backbone.prepare(data)
    clean = (examples.mean[:2] + examples.deviation[:2] * eps) * 0.18215
    reference = DDPMScheduler.from_config(backbone.pipeline.scheduler.config)
    torch.testing.assert_close(step.clean, clean)
    torch.testing.assert_close(step.noisy, reference.add_noise(clean, noise, timesteps))
    predicted = backbone.module.unet(
        step.noisy, timesteps, encoder_hidden_states=examples.embeddings[examples.captions[:2]]
    ).sample
    torch.testing.assert_close(step.prediction, predicted)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_the_prediction_type_is_that_of_the_scheduler(
    kind: str,
    pipeline_of: Callable[..., StableDiffusionPipeline],
    make_backbone: Make,
    squares: Any,
    tmp_path: Any,
) -> None:
    pipeline_of(prediction_type=kind).save_pretrained(tmp_path)
    backbone = make_backbone(path=str(tmp_path))
    step = one_step(backbone, squares())
    reference = DDPMScheduler.from_config(backbone.pipeline.scheduler.config)
    generator = torch.Generator().manual_seed(5)
    torch.randn(2, 3, 4, 8, 8, generator=generator)
    timesteps = torch.randint(1000, (3,), generator=generator)
    target = {
        "epsilon": step.noise,
        "sample": step.clean,
        "v_prediction": reference.get_velocity(step.clean, step.noise, timesteps),
    }[kind]
    assert step.prediction_type == kind
    torch.testing.assert_close(step.target, target)


def test_other_prediction_types_and_schedules_are_refused() -> None:
    with pytest.raises(GraftworkError, match="prediction type 'flow' is not supported"):
        schedule.ddim({"prediction_type": "flow", "beta_schedule": "linear"})
    with pytest.raises(GraftworkError, match="has no noise schedule of betas"):
        schedule.ddim({"_class_name": "FlowMatchEulerDiscreteScheduler"})


def test_a_schedule_without_final_signal_has_finite_ratios() -> None:
    scheduler = schedule.ddim(
        {"beta_schedule": "scaled_linear", "rescale_betas_zero_snr": True, "beta_end": 0.012}
    )
    assert scheduler.alphas_cumprod[-1] == 0
    bars = schedule.alpha_bars(scheduler)
    assert torch.isfinite((bars / (1 - bars)).log()).all()
    trained = schedule.ddim({"trained_betas": [0.0, 0.1, 1.0], "num_train_timesteps": 3})
    bars = schedule.alpha_bars(trained)
    assert torch.isfinite((bars / (1 - bars)).log()).all()


def test_without_a_graft_the_pair_is_equal(backbone: StableDiffusion, squares: Any) -> None:
    step = one_step(backbone, squares())
    torch.testing.assert_close(step.adapted_free, step.frozen_free, atol=2e-6, rtol=0)


@pytest.mark.parametrize("sites", [UNET, (*UNET, TEXT)], ids=["unet", "unet and text encoder"])
def test_the_frozen_half_of_the_pair_is_the_backbone_before_grafting(
    sites: Sequence[str], make_backbone: Make, squares: Any
) -> None:
    before = one_step(make_backbone(), squares())
    backbone = make_backbone()
    grafted(backbone, sites)
    step = one_step(backbone, squares())
    assert step.frozen_free is not None
    assert step.adapted_free is not None
    assert torch.equal(step.frozen_free, before.frozen_free)
    assert not step.frozen_free.requires_grad
    assert step.adapted_free.requires_grad
    assert (step.adapted_free - step.frozen_free).abs().max() > 1e-3


def test_each_half_alone_has_the_gradients_it_has_together(
    make_backbone: Make, squares: Any
) -> None:
    backbone = make_backbone()
    handle = grafted(backbone, UNET)
    alone = gradients(handle, error(one_step(backbone, squares(), PREDICTION)))
    alone = {name: grad.clone() for name, grad in alone.items()}
    for parameter in handle.parameters():
        parameter.grad = None
    together = gradients(handle, error(one_step(backbone, squares(), BOTH)))
    for name, grad in alone.items():
        torch.testing.assert_close(together[name], grad, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("sites", [UNET, (*UNET, TEXT)], ids=["unet", "unet and text encoder"])
def test_gradient_checkpointing_gives_the_same_gradients(
    method: str, sites: Sequence[str], make_backbone: Make, squares: Any
) -> None:
    found = []
    for checkpointing in (False, True):
        backbone = make_backbone(gradient_checkpointing=checkpointing)
        handle = grafted(backbone, sites, method)
        handle.train()
        found.append(gradients(handle, error(one_step(backbone, squares()))))
    plain, recomputed = found
    for name, grad in plain.items():
        assert grad.abs().max() > 0, name
        torch.testing.assert_close(recomputed[name], grad, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_runs_the_blocks_again_in_the_backward_pass(
    checkpointing: bool, make_backbone: Make, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = make_backbone(gradient_checkpointing=checkpointing)
    handle = grafted(backbone, UNET)
    calls: list[None] = []
    resnet = backbone.module.unet.up_blocks[1].resnets[0]
    forward = resnet.forward

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return forward(*args, **kwargs)

    monkeypatch.setattr(resnet, "forward", counted)
    gradients(handle, error(one_step(backbone, squares(), PREDICTION)))
    assert len(calls) == (2 if checkpointing else 1)


def test_text_encoder_sites_are_encoded_in_the_step(make_backbone: Make, squares: Any) -> None:
    """Gradients reach them, and equal those of a pipeline that never caches."""
    backbone = make_backbone()
    handle = grafted(backbone, TEXT)
    assert backbone.module.text_is_adapted()
    step = one_step(backbone, squares(), PREDICTION)
    found = gradients(handle, error(step))
    assert all(grad.abs().max() > 0 for grad in found.values())

    examples = backbone.prepare(squares())
    captions = examples.spelled(examples.captions[torch.tensor([0, 2, 1])])
    ids = text.tokenize(backbone.tokenizer, captions)
    embeddings = backbone.module.text_encoder(ids)[0]
    generator = torch.Generator().manual_seed(5)
    torch.randn(2, 3, 4, 8, 8, generator=generator)
    timesteps = torch.randint(1000, (3,), generator=generator)
    predicted = backbone.module.unet(step.noisy, timesteps, encoder_hidden_states=embeddings)
    torch.testing.assert_close(predicted.sample, step.prediction)


def test_unet_sites_leave_the_text_encoder_cached(
    make_backbone: Make, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = make_backbone()
    grafted(backbone, UNET)
    assert not backbone.module.text_is_adapted()
    examples = backbone.prepare(squares())
    monkeypatch.setattr(backbone.module.text_encoder, "forward", None)
    backbone.step(examples, [0], needs=BOTH, generator=torch.Generator().manual_seed(0))


def test_dropped_captions_are_the_empty_one(make_backbone: Make, squares: Any) -> None:
    always = one_step(make_backbone(caption_dropout=0.999999), squares())
    never = one_step(make_backbone(), squares())
    backbone = make_backbone()
    examples = backbone.prepare(squares())
    generator = torch.Generator().manual_seed(5)
    torch.randn(2, 3, 4, 8, 8, generator=generator)
    timesteps = torch.randint(1000, (3,), generator=generator)
    empty = examples.embeddings[:1].expand(3, -1, -1)
    expected = backbone.module.unet(always.noisy, timesteps, encoder_hidden_states=empty).sample
    torch.testing.assert_close(always.prediction, expected)
    assert torch.equal(always.noisy, never.noisy)
    torch.testing.assert_close(always.frozen_free, never.frozen_free)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_keeps_adapters_and_vae_in_float32(
    dtype: torch.dtype, make_backbone: Make, squares: Any
) -> None:
    exact = one_step(make_backbone(), squares())
    backbone = make_backbone()
    handle = grafted(backbone, (*UNET, TEXT), "dora")
    with torch.no_grad():
        for name, parameter in handle.named_parameters():
            if name.endswith(".up"):
                parameter.zero_()
    backbone.to(torch.device("cpu"), dtype)
    assert backbone.module.dtype == dtype
    assert {p.dtype for p in handle.parameters()} == {torch.float32}
    assert {p.dtype for p in backbone.vae.parameters()} == {torch.float32}
    own = {p for adapter in handle.sites.values() for p in adapter.parameters()}
    assert {p.dtype for p in backbone.module.parameters() if p not in own} == {dtype}
    step = one_step(backbone, squares())
    assert step.prediction is not None
    assert step.prediction.dtype == step.noisy.dtype == torch.float32
    torch.testing.assert_close(step.prediction, exact.prediction, atol=0.05, rtol=0.05)
    assert torch.equal(step.noisy, exact.noisy)
    assert all(torch.isfinite(grad).all() for grad in gradients(handle, error(step)).values())


def test_the_vae_may_follow_the_precision(make_backbone: Make) -> None:
    backbone = make_backbone(vae_float32=False)
    backbone.to(torch.device("cpu"), torch.bfloat16)
    assert {p.dtype for p in backbone.vae.parameters()} == {torch.bfloat16}


def test_a_loss_that_needs_a_trigger_says_so(backbone: StableDiffusion, squares: Any) -> None:
    with pytest.raises(GraftworkError, match=r"needs captions with a trigger; set data\.trigger"):
        one_step(backbone, squares(trigger=None), BOTH)


def test_an_unknown_need_is_refused(backbone: StableDiffusion, squares: Any) -> None:
    with pytest.raises(GraftworkError, match="needs 'video', which Stable Diffusion does not"):
        one_step(backbone, squares(), frozenset({"video"}))


def test_settings_are_keyword_only_and_frozen() -> None:
    settings = StableDiffusionConfig(path="x")
    with pytest.raises(AttributeError):
        settings.path = "y"  # type: ignore[misc]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_an_accelerator_sees_the_same_numbers(
    dtype: torch.dtype, make_backbone: Make, squares: Any
) -> None:
    here, there = make_backbone(), make_backbone()
    handle = grafted(there, (*UNET, TEXT))
    there.to(torch.device("cuda"), dtype)
    one, other = one_step(here, squares()), one_step(there, squares())
    assert torch.equal(one.noise, other.noise.cpu())
    torch.testing.assert_close(one.clean, other.clean.cpu(), atol=1e-3, rtol=0)
    assert other.prediction is not None
    assert other.prediction.is_cuda
    torch.testing.assert_close(one.frozen_free, other.frozen_free.cpu(), atol=0.05, rtol=0.05)
    gradients(handle, error(other))
    assert there.sample(["a cat"], [0], steps=2).is_cuda
