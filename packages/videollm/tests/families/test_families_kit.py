"""The kit's checks of every family, as a stranger's backbone would run them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from graftwork.testing.video_chat import VideoChatSuite


class FamilySuite(VideoChatSuite):
    name = "transformers-video"
    family: str

    @pytest.fixture(autouse=True)
    def _random_weights(
        self, family_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = {"path": str(family_folder(self.family)), "frames": 3, "workers": 0}
        monkeypatch.setattr(type(self), "settings", settings)


class TestInternVL(FamilySuite):
    family = "internvl"


class TestLlavaNextVideo(FamilySuite):
    family = "llava_next_video"


class TestLlavaOnevision(FamilySuite):
    family = "llava_onevision"


class TestQwen25VL(FamilySuite):
    family = "qwen2_5_vl"


class TestQwen3VL(FamilySuite):
    family = "qwen3_vl"


class TestSmolVLM(FamilySuite):
    family = "smolvlm"


class TestVideoLlava(FamilySuite):
    family = "video_llava"
