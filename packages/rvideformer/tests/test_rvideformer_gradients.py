"""Gradients of the fast model against the plain transcription, and of the attention by itself."""

import pytest
import torch

from graftwork.backbones.rvideformer import attending
from graftwork.backbones.rvideformer.attending import attend
from graftwork.backbones.rvideformer.official import official_names

CHANGES = {"depths": (4, 1, 1, 1, 1, 1, 2), "refinement_depths": (2,), "refinement_width": 12}


@pytest.fixture(scope="module")
def models(pair, small):
    ours, reference = pair(**{**small, **CHANGES, "window": (2, 4, 4)})
    return ours.double(), reference.double()


def loss(model, clip):
    return (model(clip) - clip.flip(1)).pow(2).mean()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_every_parameter_has_the_gradient_of_the_reference(models, checkpointing):
    ours, reference = models
    clip = torch.rand(1, 3, 4, 32, 32, dtype=torch.float64)
    for model in models:
        model.zero_grad()
    ours.checkpoint_blocks(checkpointing)
    loss(ours, clip).backward()
    loss(reference, clip).backward()
    theirs = dict(reference.named_parameters())
    names = official_names(ours)
    for key, parameter in ours.named_parameters():
        expected = torch.cat([theirs[name].grad for name in names[key]]).view_as(parameter)
        scale = expected.abs().max().clamp(min=1e-6)
        assert (parameter.grad - expected).abs().max() < 1e-9 * scale, key


def test_a_frozen_model_passes_the_gradient_to_its_input(models):
    ours, reference = models
    for model in models:
        model.requires_grad_(False)
    clip = torch.rand(1, 2, 4, 32, 32, dtype=torch.float64, requires_grad=True)
    grads = [torch.autograd.grad(loss(model, clip), clip)[0] for model in (ours, reference)]
    for model in models:
        model.requires_grad_(True)
    assert (grads[0] - grads[1]).abs().max() < 1e-12


def test_training_in_chunks_is_training_at_once(monkeypatch):
    q, k, v = (torch.randn(5, 2, n, 3, dtype=torch.float64, requires_grad=True) for n in (6, 4, 4))
    bias = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)
    inputs = (q, k, v, bias)
    whole = torch.autograd.grad(attend(*inputs, learnt=True).sin().sum(), inputs)
    monkeypatch.setitem(attending._AT_ONCE, "cpu", 2 * bias.numel() * 8)  # two windows
    parts = torch.autograd.grad(attend(*inputs, learnt=True).sin().sum(), inputs)
    logits = q @ k.mT * 3**-0.5 + bias
    plain = torch.autograd.grad((logits.softmax(-1) @ v).sin().sum(), inputs)
    for one, other, expected in zip(whole, parts, plain, strict=True):
        torch.testing.assert_close(one, expected)
        torch.testing.assert_close(other, expected)


def test_a_step_of_training_shows_in_the_next_forward(tiny):
    model = tiny()
    clip = torch.rand(1, 2, 4, 32, 32)
    with torch.no_grad():
        before = model(clip)
        for module in model.modules():
            if hasattr(module, "window_bias"):
                module.window_bias.data.mul_(-3)
        assert (model(clip) - before).abs().max() > 1e-3


def test_inference_mode_leaves_nothing_that_training_cannot_use(tiny):
    model = tiny(padding="masked", window=(2, 6, 6))
    clip = torch.rand(1, 3, 4, 50, 48)
    with torch.inference_mode():
        model(clip)
    model.train()
    loss(model, clip).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_dropped_paths_are_made_up_for(tiny):
    block = tiny(drop_path=0.5).refinement[0].blocks[0].train()
    block.drop = 0.5
    torch.manual_seed(0)
    out = block._drop_path(torch.ones(2000, 1, 1, 1, 1))
    assert set(out.unique().tolist()) == {0.0, 2.0}
    assert abs(out.mean().item() - 1) < 0.1
