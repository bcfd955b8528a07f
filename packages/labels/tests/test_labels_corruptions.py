"""Corruptions: sizes, severities, repeatability, and what each keeps."""

import math

import pytest
import torch
from torch import Tensor

from graftwork.labels.corrupted import CorruptedImages
from graftwork.labels.corruptions import STRENGTHS, blur, corrupt
from graftwork.labels.selected import SelectedImages
from graftwork.testing.toy_labels import ToyLabels

KINDS = tuple(STRENGTHS)


def smooth(side: int = 64) -> Tensor:
    """A picture of slow waves and one edge, in bytes."""
    rows, columns = torch.meshgrid(*[torch.linspace(0, 6, side)] * 2, indexing="ij")
    planes = torch.stack([rows.sin(), (rows + columns).cos(), (columns > 3).float() - 0.5])
    return (127 + 90 * planes).clamp(0, 255).to(torch.uint8)


def made(image: Tensor, kind: str, severity: int, seed: int = 0) -> Tensor:
    return corrupt(image, kind, severity, generator=torch.Generator().manual_seed(seed))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(64, 64), (8, 8), (31, 17), (1, 3)])
def test_every_size_and_severity(kind: str, size: tuple[int, int]) -> None:
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    for severity in range(1, 6):
        found = made(image, kind, severity)
        assert found.dtype == torch.uint8
        assert found.shape[0] == 3
        if kind != "crops":
            assert found.shape == image.shape


@pytest.mark.parametrize("kind", ["blur", "noise", "contrast", "rotation", "tint"])
def test_more_severe_is_further_away(kind: str) -> None:
    image = smooth()
    gaps = [
        float((made(image, kind, s).float() - image.float()).square().mean()) for s in range(1, 6)
    ]
    assert gaps == sorted(gaps)
    assert gaps[0] > 0


def test_blur_is_a_gaussian() -> None:
    wide = torch.zeros(3, 101, 101)
    wide[:, 50, 50] = 1e4
    for strength in STRENGTHS["blur"][:4]:
        found = blur(wide, strength, torch.Generator())[0]
        shares = found / found.sum()
        offsets = torch.arange(101.0) - 50
        deviation = float((shares.sum(0) * offsets.square()).sum().sqrt())
        assert deviation == pytest.approx(strength * 101, rel=0.05)
        assert float(found.sum()) == pytest.approx(1e4, rel=1e-4)


def test_a_blurred_constant_stays() -> None:
    image = torch.full((3, 9, 20), 77, dtype=torch.uint8)
    assert torch.equal(made(image, "blur", 5), image)


def test_noise_has_its_deviation() -> None:
    image = torch.full((3, 128, 128), 128, dtype=torch.uint8)
    for severity, strength in enumerate(STRENGTHS["noise"][:3], start=1):
        gap = made(image, "noise", severity).float() / 255 - 128 / 255
        assert float(gap.std()) == pytest.approx(strength, rel=0.05)


def test_contrast_keeps_the_mean_and_scales_the_rest() -> None:
    image = smooth()
    found = made(image, "contrast", 2).float()
    assert float(found.mean()) == pytest.approx(float(image.float().mean()), abs=1)
    assert float(found.std()) == pytest.approx(0.5 * float(image.float().std()), rel=0.25)
    red = image[0].float()
    expected = red.mean() + 0.5 * (red - red.mean())
    assert (found[0] - expected).abs().max() <= 1


@pytest.mark.parametrize("seed", range(4))
def test_rotation_turns_by_its_angle(seed: int) -> None:
    """A dot off the middle lies where the angle puts it, to one side or the other."""
    image = torch.zeros(3, 81, 121, dtype=torch.uint8)
    image[:, 39:42, 89:92] = 255  # 30 pixels right of the middle
    found = made(image, "rotation", 4, seed)[0].float()
    rows, columns = torch.meshgrid(torch.arange(81.0), torch.arange(121.0), indexing="ij")
    down = float((found * rows).sum() / found.sum()) - 40
    right = float((found * columns).sum() / found.sum()) - 60
    assert math.degrees(math.atan2(abs(down), right)) == pytest.approx(25, abs=1)
    assert math.hypot(down, right) == pytest.approx(30, abs=0.5)


def test_tint_changes_two_colours() -> None:
    image = torch.full((3, 8, 8), 100, dtype=torch.uint8)
    found = made(image, "tint", 3)
    assert sorted(found[:, 0, 0].tolist()) == [70, 100, 130]


def test_crops_are_parts() -> None:
    image = torch.arange(3 * 40 * 30).view(3, 40, 30).remainder(251).to(torch.uint8)
    found = made(image, "crops", 5)
    assert found.shape == (3, 20, 15)
    tops = [
        (top, left)
        for top in range(21)
        for left in range(16)
        if torch.equal(image[:, top : top + 20, left : left + 15], found)
    ]
    assert tops


@pytest.mark.parametrize("kind", KINDS)
def test_a_corrupted_set_repeats(kind: str) -> None:
    data = ToyLabels(examples=4)
    one, other = (CorruptedImages(data, kind, 3) for _ in range(2))  # type: ignore[arg-type]
    for index in (3, 0):
        assert torch.equal(one.image(index), other.image(index))
        assert one.label(index) == data.label(index)
        assert one.name(index) == data.name(index)
    assert one.picture_hash() == other.picture_hash()
    assert one.picture_hash() != CorruptedImages(data, kind, 4).picture_hash()  # type: ignore[arg-type]
    assert one.picture_hash() != data.picture_hash()


def test_noise_differs_from_image_to_image() -> None:
    class Same(ToyLabels):
        def image(self, index: int) -> Tensor:
            return ToyLabels.image(self, 0)

    data = CorruptedImages(Same(examples=2), "noise", 3)
    assert not torch.equal(data.image(0), data.image(1))


def test_some_images_evenly() -> None:
    data = SelectedImages.spread(ToyLabels(examples=10), 4)
    assert data.places == (0, 2, 5, 7)
    assert data.labels().tolist() == [0, 2, 2, 1]
    assert torch.equal(data.image(3), ToyLabels(examples=10).image(7))
    assert data.picture_hash() != SelectedImages.spread(ToyLabels(examples=10), 5).picture_hash()
