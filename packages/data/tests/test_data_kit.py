"""The kit's checks, as a stranger's data set would run them."""

from pathlib import Path
from typing import Any

from graftwork.testing import CaptionedImagesSuite


class TestSubject(CaptionedImagesSuite):
    name = "subject"

    def make(self, folder: Path) -> dict[str, Any]:
        for number in range(3):
            self.picture(number).save(folder / f"{number}.png")
        return {"path": str(folder), "trigger": "sks", "class_word": "cat"}


class TestImageFolder(CaptionedImagesSuite):
    name = "image-folder"

    def make(self, folder: Path) -> dict[str, Any]:
        for number in range(3):
            self.picture(number).save(folder / f"{number}.png")
            (folder / f"{number}.txt").write_text(f"a photo of sks ramp {number}")
        return {"path": str(folder), "trigger": "sks"}
