"""How near restored raw frames come to the truth: PSNR and SSIM, and PSNR of change in time."""

from typing import Literal

import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as standard_psnr,
)
from torchmetrics.functional.image import (
    structural_similarity_index_measure as standard_ssim,
)

from graftwork.core.config import NoSettings, config
from graftwork.core.errors import GraftworkError
from graftwork.metrics.raw_scores import Planes, scores
from graftwork.nn.metric import Metric
from graftwork.raw.evaluation import Restorations
from graftwork.raw.isp import render
from graftwork.raw.levels import denormalise, normalise, quantise
from graftwork.raw.mosaic import unpack
from graftwork.raw.sensor import Sensor


@config
class QualityConfig:
    """Settings of raw PSNR and SSIM."""

    protocol: Literal["official", "standard"] = "official"
    """``official`` is how figures on CRVD and ReCRVD are published: the result clipped to 0..1 and
    cut to whole DN, SSIM of each colour plane with a uniform 7×7 window. ``standard`` is
    torchmetrics' on unrounded values, SSIM with a Gaussian 11×11 window."""


class RawPSNR(Metric):
    """Peak signal-to-noise ratio in dB of the mosaic, black at 0 and white at 1."""

    settings: QualityConfig

    def __call__(self, evaluation: Restorations) -> dict[str, float]:
        """psnr, psnr_noisy of the input, and psnr_isoN at every ISO."""
        official = self.settings.protocol == "official"
        return scores("psnr", evaluation, _official_psnr if official else _standard_psnr)


class RawSSIM(Metric):
    """Structural similarity (Wang et al. 2004) of the four colour planes, averaged."""

    settings: QualityConfig

    def __call__(self, evaluation: Restorations) -> dict[str, float]:
        """ssim, ssim_noisy of the input, and ssim_isoN at every ISO."""
        official = self.settings.protocol == "official"
        return scores("ssim", evaluation, _official_ssim if official else _standard_ssim)


class SRGBPSNR(Metric):
    """PSNR in dB through graftwork-isp-1. Published sRGB figures went through another chain."""

    settings: NoSettings

    def __call__(self, evaluation: Restorations) -> dict[str, float]:
        """srgb-psnr, srgb-psnr_noisy of the input, and srgb-psnr_isoN at every ISO."""
        return scores("srgb-psnr", evaluation, _srgb_psnr)


class TemporalPSNR(Metric):
    """PSNR in dB of the change from frame to frame: low where a film flickers.

    Of x_{t+1} − x_t against y_{t+1} − y_t with y the truth, which moves as the scene does. Ours.
    """

    settings: NoSettings

    def __call__(self, evaluation: Restorations) -> dict[str, float]:
        """temporal-psnr, temporal-psnr_noisy of the input, and temporal-psnr_isoN at every ISO."""
        return scores("temporal-psnr", evaluation, _temporal_psnr)


def _published(planes: Planes, sensor: Sensor) -> Planes:
    """Clipped to 0..1 and cut to whole DN."""
    whole = quantise(denormalise(planes.clamp(0, 1), sensor), sensor, rounding="truncate")
    return normalise(whole.to(planes.dtype), sensor, negatives="keep")


def _official_psnr(restored: Planes, truth: Planes, sensor: Sensor) -> list[float]:
    found = unpack(_published(restored, sensor), sensor.pattern).double().numpy()
    wanted = unpack(truth, sensor.pattern).double().numpy()
    pairs = zip(wanted, found, strict=True)
    return [float(peak_signal_noise_ratio(y, x, data_range=1)) for y, x in pairs]


def _official_ssim(restored: Planes, truth: Planes, sensor: Sensor) -> list[float]:
    found = _published(restored, sensor).double().numpy()
    pairs = zip(truth.double().numpy(), found, strict=True)
    return [float(structural_similarity(y, x, data_range=1, channel_axis=0)) for y, x in pairs]


def _standard_psnr(restored: Planes, truth: Planes, sensor: Sensor) -> list[float]:
    pairs = zip(restored, truth, strict=True)
    return [float(standard_psnr(x, y, data_range=1.0)) for x, y in pairs]


def _standard_ssim(restored: Planes, truth: Planes, sensor: Sensor) -> list[float]:
    found = standard_ssim(restored, truth, data_range=1.0, reduction="none")
    assert isinstance(found, Tensor)
    return [float(value) for value in found.reshape(-1)]


def _srgb_psnr(restored: Planes, truth: Planes, sensor: Sensor) -> list[float]:
    pairs = zip(render(restored, sensor.pattern), render(truth, sensor.pattern), strict=True)
    return [_psnr(x - y) for x, y in pairs]


def _temporal_psnr(restored: Planes, truth: Planes, sensor: Sensor) -> list[float]:
    if len(truth) < 2:
        raise GraftworkError(
            "metric.temporal-psnr: compares frames that follow each other, and a clip has one; "
            "raise evaluate.frames"
        )
    return [_psnr(gap) for gap in restored.diff(dim=0) - truth.diff(dim=0)]


def _psnr(gap: Tensor) -> float:
    # As if no gap were below a hundredth of a 16-bit step, so that perfection is a number.
    return float(-10 * torch.log10(gap.double().square().mean().clamp(min=1e-14)))
