"""`tiny-sd`: a Stable Diffusion small enough to ship and to train on a CPU."""

from functools import cached_property
from importlib import resources
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.classifier import TinyClassifier
from graftwork.backbones.diffusion.loading import load_pipeline
from graftwork.backbones.diffusion.settings import TinySDConfig
from graftwork.core.errors import GraftworkError

_SIDE = 64  # what the classifier was trained at


def folder() -> Path:
    """Where the shipped weights are."""
    return Path(str(resources.files("graftwork.backbones.diffusion").joinpath("tiny_sd")))


class TinySD(StableDiffusion):
    """The shipped pipeline, in float32, with the shipped classifier as feature extractor."""

    def _load(self, settings: TinySDConfig) -> StableDiffusionPipeline:
        if not folder().is_dir():
            raise GraftworkError(
                "tiny-sd: its weights are not in this installation; install graftwork-diffusion "
                "from its wheel"
            )
        return load_pipeline(str(folder()))

    @cached_property
    def classifier(self) -> TinyClassifier:
        """The network that names the subject of a picture; loaded on first use."""
        return TinyClassifier.from_folder(folder() / "classifier").requires_grad_(False)

    @torch.no_grad()
    def features(
        self, images: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dims"]:
        """Penultimate features of the classifier, of length one, for images in 0..1."""
        images = images.float()
        if images.shape[-2:] != (_SIDE, _SIDE):
            images = F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        return self.classifier.to(images.device).features(images)
