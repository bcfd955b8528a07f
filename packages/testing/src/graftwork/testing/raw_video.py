"""The suites for raw video: data sets, backbones, losses and metrics. Needs `graftwork-raw`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from graftwork.nn import frozen
from graftwork.nn.dataset import Dataset
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.noise_of import noise_of
from graftwork.raw.restoration import RestorationStep
from graftwork.raw.videos import RawVideos
from graftwork.testing.backbones import BackboneSuite
from graftwork.testing.compare import agree, same_bits
from graftwork.testing.data import DataSuite
from graftwork.testing.losses import LossSuite
from graftwork.testing.metrics import MetricSuite
from graftwork.testing.toy_clips import SENSOR, ToyRestorations, ToyVideos
from graftwork.testing.toy_evaluation import Outcome


class RawVideosSuite(DataSuite):
    """Checks of one kind of set of raw clips; write `make(self, folder)`."""

    base = RawVideos

    def read(self, settings: Mapping[str, Any]) -> RawVideos:
        """The data set that the settings describe."""
        data = super().read(settings)
        assert isinstance(data, RawVideos)
        return data

    def test_clips_repeat(self, tmp_path: Path) -> None:
        """Clip i of a draw is the same at every call and in every instance.

        When it fails: sort files, and draw noise from generators made of `index` and `draw`.
        """
        settings = self.make(tmp_path)
        first, second = self.read(settings), self.read(settings)
        for index in reversed(range(len(first))):
            for draw in (1, 0):
                one, two = (data.pair(index, draw).noisy.frame(0) for data in (first, second))
                assert torch.equal(one, two), f"clip {index} differs between two readings"

    def test_clips_are_in_their_sensors_range(self, tmp_path: Path) -> None:
        """Noisy frames and their truth are finite and lie in what the sensor can give.

        When it fails: hold frames in DN, black and white as the sensor describes them.
        """
        data = self.read(self.make(tmp_path))
        for index in range(len(data)):
            pair = data.pair(index)
            for clip in (pair.noisy, pair.truth):
                if clip is not None:
                    frame = clip.frame(len(clip) - 1)
                    assert frame.isfinite().all(), f"{clip.name}: NaN or infinity"
                    assert frame.shape == clip.size, f"{clip.name}: not of the size it states"
                    assert frame.max() <= clip.sensor.largest, f"{clip.name}: above the range"

    def test_held_out_clips_are_others(self, tmp_path: Path) -> None:
        """What is judged on is another set of the same task, and holds nothing out itself.

        When it fails: return None, or a set that differs from that of training.
        """
        data = self.read(self.make(tmp_path))
        test = data.held_out()
        if test is not None:
            assert test.hash() != data.hash(), "the clips of training are held out"
            assert test.held_out() is None, "the test holds out a test; return None there"


class RawDenoiserSuite(BackboneSuite):
    """Checks of one raw-video denoiser, with an adapter of the kit's own on it."""

    base = RawDenoiser
    fields = {"prediction": ("prediction",), "neighbours": ("half", "frozen_half", "frozen_gap")}

    tolerance: ClassVar[float] = 1e-5
    """Largest gap between a clip denoised at once and in two calls."""

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare."""
        return ToyVideos(frames=self.frames())

    def frames(self) -> int:
        """Frames of a clip that is long enough to train on."""
        return int(getattr(self.parsed(), "frames", 3))

    def objective(self, step: Any) -> Tensor:
        """Both adapted predictions."""
        return super().objective(step) + (step.half - step.frozen_half).square().mean()

    def denoised(self, backbone: RawDenoiser, *, first: int = 0) -> Tensor:
        """A toy clip of two groups and a frame, denoised."""
        clip = ToyVideos(frames=2 * backbone.group + 1).pair(1).noisy
        return torch.stack(list(backbone.denoise(clip, noise_of(clip), first=first)))

    def test_it_denoises_every_frame(self) -> None:
        """Every frame comes back, packed and finite, and a second call gives the same.

        When it fails: yield one frame of four planes for each frame of the clip.
        """
        backbone = self.backbone()
        assert isinstance(backbone, RawDenoiser)
        frames = self.denoised(backbone)
        assert frames.shape[:2] == (2 * backbone.group + 1, 4), f"shape {tuple(frames.shape)}"
        assert frames.isfinite().all(), "NaN or infinity in a frame"
        same_bits(self.denoised(backbone), frames, remedy="draw nothing at random")

    def test_it_goes_on_at_a_group(self) -> None:
        """Denoising from a later group on gives the frames that denoising all gives.

        When it fails: set `group` to the frames that are restored together.
        """
        backbone = self.backbone()
        assert isinstance(backbone, RawDenoiser)
        rest = self.denoised(backbone, first=backbone.group)
        whole = self.denoised(backbone)[backbone.group :]
        agree(rest, whole, tolerance=self.tolerance, remedy="see `group`")

    def test_grafts_act_on_denoising(self) -> None:
        """A graft changes the frames, and `frozen` gives those of the backbone.

        When it fails: denoise with `self.module`, not with a copy of it.
        """
        backbone = self.backbone()
        assert isinstance(backbone, RawDenoiser)
        plain = self.denoised(backbone)
        with self.grafted(backbone):
            adapted = self.denoised(backbone)
            with frozen(backbone.module):
                off = self.denoised(backbone)
        assert not torch.allclose(adapted, plain), "the graft does not act"
        same_bits(off, plain, remedy="frozen(module) does not give the backbone's frames")


class RawLossSuite(LossSuite):
    """Checks of one loss of raw-video denoisers."""

    variants = (SENSOR.name,)
    fields = {"prediction": ("prediction",), "neighbours": ("half", "frozen_half", "frozen_gap")}

    def step(self, variant: str, needs: frozenset[str], *, perfect: bool = False) -> Any:
        """A step in float64 that holds what `needs` names; perfect, each prediction its target."""
        generator = torch.Generator().manual_seed(17)
        whole, part = (3, 2, 4, 6, 8), (3, 2, 4, 3, 4)
        truth, noise, gap, half, other, again = (
            torch.rand(shape, generator=generator).double()
            for shape in (whole, whole, whole, part, part, part)
        )
        made = {
            "prediction": truth.clone() if perfect else truth * 0.8 + gap * 0.1,
            "half": other.clone() if perfect else half,
            "frozen_half": other,
            "frozen_gap": torch.zeros_like(again) if perfect else again - 0.5,
        }
        wanted = {name for need in needs for name in self.fields.get(need, ())}
        return RestorationStep(
            sensor=SENSOR,
            noise=(*SENSOR.calibration, SENSOR.calibration[0]),
            noisy=truth + 0.1 * (noise - 0.5),
            truth=truth,
            **{name: made[name] for name in wanted},
        )


class RawMetricSuite(MetricSuite):
    """Checks of one metric of raw-video denoisers."""

    def evaluation(self, outcome: Outcome = "ordinary", *, features: bool = True) -> Any:
        """Clips with all, half or none of their noise left."""
        return ToyRestorations(outcome)
