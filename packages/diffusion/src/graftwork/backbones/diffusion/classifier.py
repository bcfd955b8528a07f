"""A small image classifier that names the subject of an image and gives features for metrics."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


class _Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut; halves height and width when `stride` is 2."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(groups, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(groups, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(
        self, hidden: Float[Tensor, "images inputs height width"]
    ) -> Float[Tensor, "images outputs smaller_height smaller_width"]:
        """The next stage's channels, at the same or half the height and width."""
        inner = F.silu(self.norm1(self.conv1(hidden)))
        inner = self.norm2(self.conv2(inner))
        return F.silu(inner + self.shortcut(hidden))


class TinyClassifier(nn.Module):
    """Names the subject of a 64x64 image.

    The penultimate layer is trained with a contrastive term, so that the cosine between two
    feature vectors says whether two images show the same thing, also for things it has no
    name for.

    Args:
        class_names: one name per logit, in order.
        widths: channels of the stem and of each residual stage.
        feature_size: length of a feature vector.
        groups: groups of every group normalisation; divides all widths.
    """

    # Cosines lie in -1..1: without a scale their softmax could never be confident.
    LOGIT_SCALE = 16.0

    def __init__(
        self,
        class_names: list[str],
        widths: tuple[int, ...] = (32, 64, 96, 128),
        feature_size: int = 128,
        groups: int = 8,
    ) -> None:
        super().__init__()
        self.class_names = list(class_names)
        self.widths = tuple(widths)
        self.feature_size = feature_size
        self.groups = groups
        self.stem = nn.Conv2d(3, widths[0], 3, stride=2, padding=1)
        self.stages = nn.Sequential(
            *(
                _Residual(inputs, outputs, stride=2, groups=groups)
                for inputs, outputs in pairwise(widths)
            )
        )
        self.project = nn.Linear(2 * widths[-1], feature_size)
        self.classes = nn.Linear(feature_size, len(class_names), bias=False)

    def features(self, images: Float[Tensor, "images 3 64 64"]) -> Float[Tensor, "images dims"]:
        """Feature vectors of length one, of images in 0..1."""
        hidden = self.stages(F.silu(self.stem(images * 2 - 1)))
        # The mean says what is there, the maximum whether it is there at all.
        pooled = torch.cat([hidden.mean(dim=(2, 3)), hidden.amax(dim=(2, 3))], dim=1)
        return F.normalize(self.project(pooled), dim=1)

    def logits_of(self, features: Float[Tensor, "images dims"]) -> Float[Tensor, "images classes"]:
        """Logits of feature vectors that `features` gave."""
        directions = F.normalize(self.classes.weight, dim=1)
        return self.LOGIT_SCALE * features @ directions.T

    def forward(self, images: Float[Tensor, "images 3 64 64"]) -> Float[Tensor, "images classes"]:
        """Logits of images in 0..1, in the order of `class_names`."""
        return self.logits_of(self.features(images))

    @torch.no_grad()
    def names(self, images: Float[Tensor, "images 3 64 64"]) -> list[str]:
        """The most likely class name of every image, images in 0..1."""
        return [self.class_names[int(index)] for index in self(images).argmax(dim=1)]

    def config(self) -> dict[str, Any]:
        """What `from_folder` needs to build the module again."""
        return {
            "class_names": self.class_names,
            "widths": list(self.widths),
            "feature_size": self.feature_size,
            "groups": self.groups,
        }

    @classmethod
    def from_folder(cls, path: str | Path) -> Self:
        """Load `config.json` and `model.safetensors` from a folder, as float32, for inference."""
        folder = Path(path)
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        config["widths"] = tuple(config["widths"])
        model = cls(**config)
        model.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return model.float().eval()
