"""A stranger's plugin for these tests: another backbone, and steps that can be made to last.

`conftest.py` installs it beside the toy world.
"""

import os
import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from graftwork.core import hookimpl
from graftwork.core.records import BackboneSpec
from graftwork.testing.toy import ToyBackbone


class _Net(nn.Module):
    """Has a site `enter` as the toy has one, of another shape, and a block that is no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(64, 12)
        self.enter = nn.Conv2d(3, 12, 3, padding=1)
        self.body = nn.Sequential(nn.SiLU(), nn.Conv2d(12, 3, 3, padding=1))

    def forward(self, noisy: Tensor, words: Tensor) -> Tensor:
        hidden = self.enter(noisy) + self.words(words).mean(1)[:, :, None, None]
        out: Tensor = self.body(hidden)
        return out


class WideBackbone(ToyBackbone):
    """The toy, made of other layers."""

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.module = _Net().requires_grad_(False).eval()

    def default_sites(self) -> tuple[str, ...]:
        return ("enter", "body.1")


@hookimpl
def backbones() -> Iterable[BackboneSpec]:
    yield BackboneSpec(
        name="toy-wide",
        target="graftwork_wide:WideBackbone",
        summary="an 8x8 denoiser of other layers",
        task="text-to-image",
        default_loss="toy-denoising",
    )


@hookimpl
def after_step() -> None:
    """Leave a test the time to interrupt."""
    time.sleep(float(os.environ.get("GRAFTWORK_TEST_PAUSE", "0")))
