"""The kit's checks, as a stranger's backbone would run them."""

from pathlib import Path

import pytest

from graftwork.testing import TextToImageSuite

# The adapted half goes through the UNet together with the trigger captions, a quarter faster at
# batch 1, so it differs from the frozen half by rounding.
ROUNDING = 1e-5


class TestStableDiffusion(TextToImageSuite):
    name = "stable-diffusion"
    rounding = ROUNDING

    @pytest.fixture(autouse=True)
    def _random_weights(self, pipeline_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "settings", {"path": str(pipeline_folder)})


class TestTinySD(TextToImageSuite):
    name = "tiny-sd"
    rounding = ROUNDING
