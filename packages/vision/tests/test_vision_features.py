"""Features are computed once as long as the body is frozen, and never kept when it is not."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from jaxtyping import UInt8
from safetensors.torch import load_file
from torch import Tensor

from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.nn import Graft, frozen, graft
from graftwork.testing.toy_labels import ToyLabels

Make = Callable[..., "object"]
BOTH = frozenset({"prediction", "features"})


@contextmanager
def forwards(backbone) -> Iterator[list[int]]:  # type: ignore[no-untyped-def]
    """The sizes of the batches that go through the body in the block."""
    sizes: list[int] = []
    hook = backbone.module.body.register_forward_hook(
        lambda module, args, made: sizes.append(len(made))
    )
    try:
        yield sizes
    finally:
        hook.remove()


def stepped(backbone, examples, indices=(0, 1, 2), needs=BOTH):  # type: ignore[no-untyped-def]
    generator = torch.Generator().manual_seed(0)
    return backbone.step(examples, list(indices), needs=needs, generator=generator)


def headed(backbone, data: ToyLabels, method: str = "linear-head") -> Graft:  # type: ignore[no-untyped-def]
    backbone.meet(data)
    return graft(backbone.module, method, sites=backbone.head_sites(), name="head")


def test_a_head_sees_every_image_once(vit: Make) -> None:
    backbone, data = vit(batch=4), ToyLabels(examples=6)
    headed(backbone, data)
    with forwards(backbone) as sizes:
        examples = backbone.prepare(data)
        for _ in range(3):
            stepped(backbone, examples)
        backbone.predict(data)
        with frozen(backbone.module):
            backbone.predict(data)
    assert sizes == [4, 2]


def test_an_adapter_on_the_body_is_run_in_every_step(vit: Make, lora: str) -> None:
    backbone, data = vit(), ToyLabels(examples=6)
    headed(backbone, data)
    handle = graft(backbone.module, lora, {"rank": 1}, sites=backbone.default_sites())
    with forwards(backbone) as sizes:
        examples = backbone.prepare(data)
        assert sizes == []
        stepped(backbone, examples, needs=frozenset({"prediction"}))
        assert sizes == [3]
        stepped(backbone, examples)
        stepped(backbone, examples)
        assert sizes == [3, 3, 6, 3]  # F of all examples, once, for the losses that ask for it
        backbone.predict(data)
        assert sizes == [3, 3, 6, 3, 6]
        with handle.disabled():
            stepped(backbone, examples)
            backbone.predict(data)
        assert sizes == [3, 3, 6, 3, 6]


def test_kept_features_give_the_step_of_images(vit: Make, lora: str) -> None:
    """The same head on kept features and, with an adapter that changes nothing, on images."""
    data, found = ToyLabels(examples=6), []
    for live in (False, True):
        backbone = vit()
        handle = headed(backbone, data, "mlp-head")
        if live:
            graft(backbone.module, lora, {"rank": 1}, sites=backbone.default_sites())
        handle.train()
        step = stepped(backbone, backbone.prepare(data))
        (step.logits.square().mean() + step.features.square().mean()).backward()
        gradients = [parameter.grad for parameter in handle.parameters()]
        found.append([step.logits, step.features, step.frozen_features, *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_labels_and_frozen_features_go_with_their_images(vit: Make) -> None:
    backbone, data = vit(), ToyLabels(examples=6)
    headed(backbone, data)
    step = stepped(backbone, backbone.prepare(data), indices=(4, 1))
    assert step.labels.tolist() == [data.label(4), data.label(1)]
    assert step.indices.tolist() == [4, 1]
    assert step.examples == 6
    shown = torch.stack([backbone.looking.pixels.plain(data.image(place)) for place in (4, 1)])
    expected = backbone.looking.pooled(backbone.module, shown)
    torch.testing.assert_close(step.frozen_features, expected)
    assert not step.frozen_features.requires_grad


def test_a_folder_serves_other_backbones_and_searches(vit: Make, tmp_path: Path) -> None:
    data = ToyLabels(examples=5)
    first = vit(cache=str(tmp_path)).predict(data)
    (file,) = tmp_path.rglob("*.safetensors")
    assert load_file(file)["features"].shape == (5, 16)
    again = vit(cache=str(tmp_path))
    with forwards(again) as sizes:
        found = again.predict(data)
    assert sizes == []
    assert torch.equal(found.frozen_features, first.frozen_features)


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"image_size": 32, "arguments": {"img_size": 32, "depth": 1}}]
)
def test_other_weights_or_sizes_are_other_features(
    vit: Make, tmp_path: Path, changes: dict[str, object]
) -> None:
    data = ToyLabels(examples=2)
    vit(cache=str(tmp_path)).predict(data)
    vit(cache=str(tmp_path), **changes).predict(data)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_other_pictures_are_other_features_and_other_labels_are_not(
    vit: Make, tmp_path: Path
) -> None:
    class Relabelled(ToyLabels):
        def label(self, index: int) -> int:
            return 0

        def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
            return ToyLabels.image(ToyLabels(), index)

        def hash(self) -> str:
            return "other"

    backbone = vit(cache=str(tmp_path))
    backbone.predict(ToyLabels(examples=2))
    backbone.predict(Relabelled(examples=2))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1
    backbone.predict(ToyLabels(examples=2, part="test"))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


def test_statistics_of_norms_count_as_weights(vit: Make, tmp_path: Path) -> None:
    arguments = {"channels": [8, 8, 8, 8]}
    resnet = {"model": "resnet10t", "arguments": arguments, "image_size": 32}
    for shift in (0.0, 0.5):
        backbone = vit(cache=str(tmp_path), **resnet)
        backbone.module.body.bn1.running_mean += shift
        backbone.predict(ToyLabels(examples=2))
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2


class Damaged(ToyLabels):
    """The images at 1 and 3 cannot be read."""

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        if index in (1, 3):
            raise GraftworkError(f"image-{index}.png: damaged; replace it")
        return super().image(index)


def test_an_image_that_cannot_be_read_ends_it(vit: Make) -> None:
    with pytest.raises(GraftworkError, match=r"image-1\.png: damaged"):
        vit().predict(Damaged())


@pytest.mark.parametrize("live", [False, True])
def test_tolerant_sets_pass_over_what_cannot_be_read(vit: Make, lora: str, live: bool) -> None:
    backbone, data = vit(batch=2), Damaged(examples=6)
    data.tolerant = True
    headed(backbone, data)
    if live:
        graft(backbone.module, lora, {"rank": 1}, sites=backbone.default_sites())
    with pytest.warns(GraftworkWarning, match=r"passed over 2 of 6 images .*image-1\.png"):
        examples = backbone.prepare(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GraftworkWarning)
        step = stepped(backbone, examples, indices=range(6))
        found = backbone.predict(data)
    assert step.indices.tolist() == [0, 2, 4, 5, 0, 2]
    assert step.labels.tolist() == [data.label(place) for place in (0, 2, 4, 5, 0, 2)]
    assert found.kept.tolist() == [0, 2, 4, 5]
    assert len(found.logits) == 4


def test_a_set_that_was_kept_when_tolerant_is_still_refused_when_not(
    vit: Make, tmp_path: Path
) -> None:
    data = Damaged()
    data.tolerant = True
    with pytest.warns(GraftworkWarning):
        vit(cache=str(tmp_path)).predict(data)
    with pytest.raises(GraftworkError, match=r"image-1\.png"):
        vit(cache=str(tmp_path)).predict(Damaged())


def test_nothing_to_read_is_told(vit: Make) -> None:
    class Gone(ToyLabels):
        tolerant = True

        def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
            raise GraftworkError(f"{index}: gone")

    with pytest.raises(GraftworkError, match=r"no image can be read \(0: gone\)"):
        vit().predict(Gone())


def test_features_in_half_precision(vit: Make) -> None:
    data = ToyLabels(examples=3)
    whole, half = vit(), vit()
    half.to(torch.device("cpu"), torch.bfloat16)
    one, other = whole.predict(data), half.predict(data)
    assert other.features.dtype == torch.float32
    torch.testing.assert_close(one.features, other.features, rtol=0.1, atol=0.1)


def test_heads_keep_their_precision(vit: Make) -> None:
    backbone, data = vit(), ToyLabels()
    handle = headed(backbone, data)
    backbone.to(torch.device("cpu"), torch.bfloat16)
    assert {parameter.dtype for parameter in handle.parameters()} == {torch.float32}
    assert backbone.module.classifier._parameters["weight"].dtype == torch.bfloat16


def test_augmented_views_leave_the_frozen_features(vit: Make) -> None:
    data = ToyLabels(examples=6)
    plain, backbone = vit(), vit(augment="rand-m9-n2")
    headed(plain, data)
    headed(backbone, data)
    step = stepped(backbone, backbone.prepare(data))
    expected = stepped(plain, plain.prepare(data))
    torch.testing.assert_close(step.frozen_features, expected.frozen_features)
    assert not torch.allclose(step.features, expected.features)
    before = torch.get_rng_state()
    stepped(backbone, backbone.prepare(data))
    assert torch.equal(before, torch.get_rng_state())


def test_an_augmentation_that_timm_does_not_know(vit: Make) -> None:
    with pytest.raises(GraftworkError, match=r"backbone\.augment: 'nonsense'"):
        vit(augment="nonsense")


def test_memory_is_for_what_fits(vit: Make, tmp_path: Path) -> None:
    """Features that lie on disk and find no room are read again; none is computed again."""
    backbone = vit(cache=str(tmp_path), memory=0)
    with forwards(backbone) as sizes:
        first = backbone.predict(ToyLabels(examples=4))
        again = backbone.predict(ToyLabels(examples=4))
    assert sizes == [4]
    assert torch.equal(first.features, again.features)
    assert not backbone.looking._features
