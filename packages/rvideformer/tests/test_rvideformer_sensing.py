"""Three ways to deal with noise levels: each is undone, and does to the noise what it says."""

import pytest
import torch

from graftwork.backbones.rvideformer.sensing import Blind, Matched, Stabilised, sensing
from graftwork.backbones.rvideformer.settings import RViDeformerSettings
from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.raw.noise_model import Noise
from graftwork.raw.noising import add_noise
from graftwork.raw.sensor_file import load_sensor

SENSOR = load_sensor("crvd")
OWN = Noise(a=40.0, b=900.0)


def noisy(level: float, noise: Noise) -> torch.Tensor:
    """A flat field of that light, noisy, as planes with black at 0 and white at 1."""
    clean = torch.full((256, 256), 240 + level * 3855, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    mosaic = add_noise(clean, noise, SENSOR, generator=generator, clip=False)
    return ((mosaic - 240) / 3855).view(4, 128, 128)


@pytest.mark.parametrize("way", [Stabilised(), Matched(SENSOR.noise(6400), SENSOR)])
def test_it_is_undone(way) -> None:
    planes = torch.rand(2, 4, 5, 6, dtype=torch.float64) * 0.9 + 0.05
    there = way.enter(planes, OWN, SENSOR)
    assert torch.allclose(way.leave(there, OWN, SENSOR), planes, atol=1e-12)
    assert not torch.allclose(there, planes, atol=0.01)


def test_blind_clamps_at_black_and_leaves_the_rest() -> None:
    planes = torch.tensor([-0.1, 0.0, 0.4]).expand(4, 1, 3)
    there = Blind().enter(planes, OWN, SENSOR)
    assert torch.equal(there[0, 0], torch.tensor([0.0, 0.0, 0.4]))
    assert torch.equal(Blind().leave(planes, OWN, SENSOR), planes)


@pytest.mark.parametrize("level", [0.05, 0.2, 0.6])
def test_stabilised_noise_is_a_sixteenth_everywhere(level: float) -> None:
    there = Stabilised().enter(noisy(level, OWN), OWN, SENSOR)
    assert float(there.std()) == pytest.approx(1 / 16, rel=0.03)


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_matched_noise_is_that_of_the_reference(level: float) -> None:
    reference = SENSOR.noise(6400)
    there = Matched(reference, SENSOR).enter(noisy(level, OWN), OWN, SENSOR)
    dn = there * 3855
    expected = reference.a * float(dn.mean()) + reference.b
    assert float(dn.var()) == pytest.approx(expected, rel=0.04)


def test_settings_choose_the_way() -> None:
    def chosen(**settings: object):
        return sensing(parse(RViDeformerSettings, settings, "backbone"))

    assert isinstance(chosen(), Blind)
    assert isinstance(chosen(input="stabilised"), Stabilised)
    matched = chosen(input="matched", reference_iso=1600)
    assert isinstance(matched, Matched)
    assert matched.reference == SENSOR.noise(1600)
    with pytest.raises(GraftworkError, match="reference: has no part in the input 'blind'"):
        chosen(reference="crvd")
