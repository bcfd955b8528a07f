"""The noise of a clip: calibrated, or else read off the clip itself."""

import warnings

from graftwork.core.errors import GraftworkError, GraftworkWarning
from graftwork.raw.clip import RawClip
from graftwork.raw.estimation import estimate_noise
from graftwork.raw.noise_model import Noise
from graftwork.raw.noised import NoisedClip


def noise_of(clip: RawClip) -> Noise:
    """What a noisy clip was taken with.

    That of its ISO, where its sensor is calibrated; otherwise an estimate from its frames, which
    is told as a note.

    Raises:
        GraftworkError: the ISO is not among those of a calibrated sensor, or the clip cannot tell.
    """
    if isinstance(clip, NoisedClip):
        return clip.noise
    if clip.iso is not None and clip.sensor.calibration:
        return clip.sensor.noise(clip.iso)
    try:
        noise = estimate_noise(clip).noise
    except GraftworkError as error:
        isos = ", ".join(map(str, clip.sensor.isos))
        calibrated = f"name its ISO, one of {isos}" if isos else "calibrate the sensor"
        raise GraftworkError(f"{error}; or {calibrated}") from error
    warnings.warn(
        f"{clip.name}: no calibrated ISO; its noise is estimated as a = {noise.a:.3g} DN, "
        f"b = {noise.b:.3g} DN²",
        GraftworkWarning,
        stacklevel=2,
    )
    return noise
