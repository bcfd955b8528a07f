"""RViDeformer (Yue et al. 2023, arXiv:2305.00767) as a backbone."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.rvideformer import examples
from graftwork.backbones.rvideformer.config import VARIANTS
from graftwork.backbones.rvideformer.denoiser import Denoiser
from graftwork.backbones.rvideformer.examples import Examples
from graftwork.backbones.rvideformer.files import load_model, save_model
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.sensing import Sensing, sensing
from graftwork.backbones.rvideformer.settings import RViDeformerSettings, TinyRViDeformerConfig
from graftwork.backbones.rvideformer.streaming import denoise_stream
from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, grafts
from graftwork.nn.moving import move
from graftwork.raw.clip import RawClip
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.neighbours import draw_neighbours, sub_image
from graftwork.raw.noise_model import Noise
from graftwork.raw.restoration import RestorationStep
from graftwork.raw.sensor import Sensor
from graftwork.raw.videos import RawVideos

SITES = (
    "network.conv_first",
    "network.conv_last",
    "network.stages.[0156].*",
    "network.refinement.*",
)
"""Where a sensor's noise and colours come in: the first and last convolution, and everything at
the two finest scales. The coarse scales see little of either."""

WEIGHTS = "rvideformer.safetensors"


class RViDeformerBackbone(RawDenoiser):
    """An `RViDeformer`, frozen: `module` holds `sensor_in`, `network` and `sensor_out`.

    Raises:
        GraftworkError: the weights cannot be loaded.
    """

    module: Denoiser

    def __init__(self, settings: TinyRViDeformerConfig) -> None:
        super().__init__(settings)
        network, self.sensing = self._load(settings)
        network.checkpoint_blocks(settings.gradient_checkpointing)
        self.module = Denoiser(network).requires_grad_(False).eval()
        self.group = network.config.window[0]

    def _load(self, settings: TinyRViDeformerConfig) -> tuple[RViDeformer, Sensing]:
        assert isinstance(settings, RViDeformerSettings)
        if settings.path is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # the same backbone in every process
                network = RViDeformer(VARIANTS[settings.variant])
        else:
            network = load_model(Path(settings.path))
        return network, sensing(settings)

    def default_sites(self) -> tuple[str, ...]:
        """The first and the last convolution, and all layers at the two finest scales."""
        return SITES

    def prepare(self, data: RawVideos) -> Examples:
        """Look at every clip once; frames are read when a step asks for them.

        Raises:
            GraftworkError: a clip cannot be used.
        """
        return examples.prepare(data, self.settings)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move the network; what comes before and after it stays in float32."""
        self.module.to(device)
        move(self.module.network, device, dtype)

    def fingerprint(self) -> str:
        """Hash of the architecture and weights, as they are now."""
        return fingerprint(self.module)

    def save(self, folder: Path) -> None:
        """Write the network's weights, as the setting `path` takes them.

        Raises:
            GraftworkError: an adapter is still on it, or the sensor's layers were changed.
        """
        if grafts(self.module):
            raise GraftworkError("save: adapters are on the backbone; merge or detach them first")
        fresh = Denoiser(self.module.network)
        for name in ("sensor_in", "sensor_out"):
            own, plain = getattr(self.module, name), getattr(fresh, name)
            if not torch.equal(own.weight.cpu(), plain.weight):
                raise GraftworkError(
                    f"save: an adapter was merged into {name}, which a network's file does not "
                    "hold; keep that adapter beside the backbone"
                )
        with atomic.folder(folder) as target:
            save_model(self.module.network, target / WEIGHTS)

    def step(
        self,
        examples: Examples,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> RestorationStep:
        """Draw parts of clips `indices` and denoise what `needs` asks for."""
        device = self.module.sensor_in.weight.device
        noisy, truth = examples.draw(indices, generator)
        noisy = noisy.to(device)
        noise = [examples.noise[index] for index in indices]
        sensor = examples.sensor
        found: dict[str, Tensor] = {}
        if "prediction" in needs:
            found["prediction"] = self.restore(noisy, noise, sensor)
        if "neighbours" in needs:
            pairs = draw_neighbours(noisy, generator)
            first, second = (sub_image(noisy, corner) for corner in pairs)
            with torch.no_grad():
                whole = self.restore(noisy, noise, sensor)
                found["frozen_gap"] = sub_image(whole, pairs.first) - sub_image(whole, pairs.second)
            found["half"] = self.restore(first, noise, sensor)
            found["frozen_half"] = second
        return RestorationStep(
            sensor=sensor,
            noise=noise,
            noisy=noisy,
            truth=None if truth is None else truth.to(device),
            **found,
        )

    def restore(
        self,
        noisy: Float[Tensor, "batch time 4 height width"],
        noise: Sequence[Noise],
        sensor: Sensor,
    ) -> Float[Tensor, "batch time 4 height width"]:
        """Whole clips at once, each with its own noise; differentiable."""
        own = self.module.before(noisy)
        given = [self.sensing.enter(x, n, sensor) for x, n in zip(own, noise, strict=True)]
        answers = self.module.network(torch.stack(given))
        meant = [self.sensing.leave(y, n, sensor) for y, n in zip(answers, noise, strict=True)]
        return self.module.after(torch.stack(meant))

    def denoise(
        self, clip: RawClip, noise: Noise, *, first: int = 0, count: int | None = None
    ) -> Iterator[Float[Tensor, "4 half_height half_width"]]:
        """The frames of a clip one by one, in groups and tiles."""
        last = len(clip) if count is None else first + count
        frames = (self._entered(clip, index, noise) for index in range(first, last))
        settings = self.settings
        answers = denoise_stream(
            self.module.network, frames, tile=settings.tile, overlap=settings.overlap
        )
        for answer in answers:
            yield self._left(answer, noise, clip.sensor)

    @torch.no_grad()
    def _entered(self, clip: RawClip, index: int, noise: Noise) -> Tensor:
        sensor = clip.sensor
        planes = normalise(pack(clip.frame(index), sensor.pattern), sensor, negatives="keep")
        own = self.module.before(planes.to(self.module.sensor_in.weight.device))
        return self.sensing.enter(own, noise, sensor)

    @torch.no_grad()
    def _left(self, answer: Tensor, noise: Noise, sensor: Sensor) -> Tensor:
        return self.module.after(self.sensing.leave(answer, noise, sensor))
