"""Raw clips that are made up on the spot."""

import hashlib

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.raw.clip import MemoryClip
from graftwork.raw.content import Content
from graftwork.raw.evaluation import Restored
from graftwork.raw.noise_model import Noise
from graftwork.raw.noised import NoisedClip
from graftwork.raw.pair import ClipPair
from graftwork.raw.sensor import Sensor
from graftwork.raw.videos import RawVideos
from graftwork.testing.toy_evaluation import Outcome

SENSOR = Sensor(
    name="toy",
    pattern="RGGB",
    black_level=64.0,
    white_level=1023.0,
    bit_depth=10,
    calibration=(Noise(iso=100, a=1.0, b=4.0), Noise(iso=400, a=4.0, b=30.0)),
)
"""Ten bits, calibrated at ISO 100 and 400."""


def moving_waves(frames: int, side: int, *, index: int = 0) -> Float[Tensor, "time height width"]:
    """Slanted waves that move by a pixel a frame, in 0.1..0.9; another slant for every index."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    time = torch.arange(frames)[:, None, None]
    phase = (rows * (1 + index) + columns + time) / 9.0
    return 0.5 + 0.4 * torch.sin(phase)


class ToyVideos(RawVideos):
    """Waves at two ISOs, `clips` of them, noise added."""

    def __init__(self, *, clips: int = 2, frames: int = 3, side: int = 160) -> None:
        self.clips, self.frames, self.side = clips, frames, side

    def __len__(self) -> int:
        return self.clips

    def pair(self, index: int, draw: int = 0) -> ClipPair:
        """One clip with noise; another realisation for every draw."""
        light = moving_waves(self.frames, self.side, index=index)
        mosaics = 64 + light * (1023 - 64)
        clean = MemoryClip(mosaics, SENSOR, content=Content.CLEAN, name=f"waves {index}")
        noise = SENSOR.calibration[index % 2]
        return ClipPair(noisy=NoisedClip(clean, noise, seed=draw * 97 + index), truth=clean)

    def check(self) -> None:
        """Nothing can be wrong."""

    def hash(self) -> str:
        """Hash of the numbers that decide everything."""
        return hashlib.sha256(f"{self.clips} {self.frames} {self.side}".encode()).hexdigest()


class ToyRestorations:
    """Waves at two ISOs with what a denoiser might have made of them.

    "ordinary": half of the noise is left. "unchanged": all of it. "reproduced": none.
    """

    def __init__(self, outcome: Outcome = "ordinary", *, frames: int = 3, side: int = 32) -> None:
        self.left = {"ordinary": 0.5, "unchanged": 1.0, "reproduced": 0.0}[outcome]
        self.frames, self.side = frames, side

    def clips(self, *, adapted: bool) -> list[Restored]:
        """Two clips; of the frozen denoiser all noise is left."""
        return [self._clip(index, self.left if adapted else 1.0) for index in range(2)]

    def _clip(self, index: int, left: float) -> Restored:
        light = moving_waves(4 * self.frames, self.side, index=index)
        truth = light.view(self.frames, 4, self.side, self.side)
        generator = torch.Generator().manual_seed(index)
        noise = 0.02 * (1 + index) * torch.randn(truth.shape, generator=generator)
        return Restored(
            name=f"waves {index}",
            iso=(100, 400)[index],
            sensor=SENSOR,
            noisy=truth + noise,
            truth=truth,
            restored=truth + left * noise,
        )
