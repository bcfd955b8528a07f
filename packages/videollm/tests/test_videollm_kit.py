"""The kit's checks, as a stranger's backbone would run them."""

from pathlib import Path
from typing import ClassVar

import pytest

from graftwork.testing.video_chat import VideoChatSuite


class TestValley(VideoChatSuite):
    name = "valley"

    @pytest.fixture(autouse=True)
    def _random_weights(self, valley_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "settings", {"path": str(valley_folder)})


class TestValleyDelta(VideoChatSuite):
    name = "valley"

    @pytest.fixture(autouse=True)
    def _random_weights(self, delta_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = {"path": str(delta_folder), "frames": 3}
        monkeypatch.setattr(type(self), "settings", settings)


class TestValleyInTheWordsOfAChatTemplate(VideoChatSuite):
    name = "valley"

    @pytest.fixture(autouse=True)
    def _random_weights(self, chat_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "settings", {"path": str(chat_folder), "frames": 3})


class TestTinyValley(VideoChatSuite):
    name = "tiny-valley"
    settings: ClassVar = {}
