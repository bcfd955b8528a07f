"""The noise schedule: what the backbone was trained with, and how it is sampled."""

from collections.abc import Mapping
from typing import Any, get_args

import torch
from diffusers import DDIMScheduler
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn.denoising import PredictionType

# A schedule with zero terminal signal (Lin et al. 2024, arXiv:2305.08891) would divide by zero
# in the weights of losses; the libraries use the same floor.
_FLOOR = 2.0**-24


def ddim(config: Mapping[str, Any]) -> DDIMScheduler:
    """DDIM (Song et al. 2021, arXiv:2010.02502) over the schedule of any scheduler's config."""
    if config.get("prediction_type", "epsilon") not in get_args(PredictionType):
        raise GraftworkError(
            f"scheduler: prediction type '{config['prediction_type']}' is not supported; use a "
            "model that predicts epsilon, v or the sample"
        )
    if "beta_schedule" not in config and "trained_betas" not in config:
        raise GraftworkError(
            f"scheduler: {config.get('_class_name', 'it')} has no noise schedule of betas; use a "
            "Stable Diffusion 1 or 2 pipeline"
        )
    # DDIM's own defaults would clip latents to -1..1 and end above zero noise.
    given = {"clip_sample": False, "set_alpha_to_one": False, **config}
    return DDIMScheduler.from_config(given)


def alpha_bars(scheduler: DDIMScheduler) -> Float[Tensor, "timesteps"]:
    """abar_t for every timestep, kept off 0 and 1 so that signal-to-noise ratios are finite."""
    return scheduler.alphas_cumprod.to(torch.float32, copy=True).clamp(_FLOOR, 1 - _FLOOR)
