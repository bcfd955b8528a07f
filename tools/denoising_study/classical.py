"""What people use without a network: means over time, and scikit-image's filters of each frame.

All take a clip of packed planes with black at 0 and white at 1, negatives kept, and its noise, and
give the clip restored. The filters work where the noise is 1 everywhere (`stabilise`), plane by
plane.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet
from torch import Tensor

from graftwork.raw.noise_model import Noise
from graftwork.raw.stabilising import destabilise, stabilise

SPAN = 3855.0  # DN between black and white of CRVD's sensor, which the study uses

Method = Callable[[Tensor, Noise], Tensor]


def mean_over_time(clip: Tensor, noise: Noise, *, reach: int) -> Tensor:
    """The mean of each frame and of `reach` frames before and after it, unaligned."""
    last = len(clip) - 1
    return torch.stack(
        [clip[max(0, t - reach) : min(last, t + reach) + 1].mean(0) for t in range(len(clip))]
    )


def aligned_mean(clip: Tensor, noise: Noise) -> Tensor:
    """The mean of all frames, each moved onto the frame in question by ECC (Euclidean motion).

    Evangelidis and Psarakis 2008, IEEE TPAMI 30(10), as OpenCV has it. A frame that ECC cannot
    align is left out.
    """
    return torch.stack([_onto(clip, target) for target in range(len(clip))])


def filtered(clip: Tensor, noise: Noise, *, by: Callable[[Any], Any]) -> Tensor:
    """A filter of single images, where the noise is 1."""
    stable = stabilise(clip * SPAN, noise)
    planes = [
        torch.from_numpy(np.asarray(by(plane.numpy()), dtype=np.float32))
        for plane in stable.flatten(0, 1)
    ]
    restored = torch.stack(planes).view_as(stable)
    return destabilise(restored, noise, inverse="unbiased") / SPAN


def wavelet(image: Any) -> Any:
    """BayesShrink (Chang et al. 2000) of a plane with noise 1."""
    scale = float(np.abs(image).max()) or 1.0
    return scale * denoise_wavelet(image / scale, sigma=1 / scale, method="BayesShrink")


METHODS: Mapping[str, Method] = {
    "mean of 3, unaligned": partial(mean_over_time, reach=1),
    "mean of 7, unaligned": partial(mean_over_time, reach=3),
    "mean of 7, ECC-aligned": aligned_mean,
    "wavelet, BayesShrink": partial(filtered, by=wavelet),
    "TV, Chambolle": partial(filtered, by=partial(denoise_tv_chambolle, weight=1.0)),
    "NLM": partial(
        filtered,
        by=partial(
            denoise_nl_means, patch_size=5, patch_distance=6, h=0.8, sigma=1.0, fast_mode=True
        ),
    ),
}


def _onto(clip: Tensor, target: int) -> Tensor:
    grey = [frame.mean(0).clamp(min=0).sqrt().numpy().astype(np.float32) for frame in clip]
    moved = [clip[target].numpy()]
    for index, frame in enumerate(clip):
        if index == target:
            continue
        motion = np.eye(2, 3, dtype=np.float32)
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
        try:
            _, motion = cv2.findTransformECC(
                grey[target], grey[index], motion, cv2.MOTION_EUCLIDEAN, stop, None, 5
            )
        except cv2.error:
            continue
        size = (frame.shape[-1], frame.shape[-2])
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        moved.append(
            np.stack(
                [
                    cv2.warpAffine(plane, motion, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
                    for plane in frame.numpy()
                ]
            )
        )
    return torch.from_numpy(np.mean(moved, axis=0))
