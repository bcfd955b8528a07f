"""The suite for data sets of images with captions."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftwork.nn.text_to_image import CaptionedImages
from graftwork.testing.compare import refused
from graftwork.testing.data import DataSuite

_IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


class CaptionedImagesSuite(DataSuite):
    """Checks of one kind of set of images with captions.

    ```python
    class TestSubject(CaptionedImagesSuite):
        name = "subject"

        def make(self, folder):
            for index in range(3):
                self.picture(index).save(folder / f"{index}.png")
            return {"path": str(folder), "trigger": "sks", "class_word": "cat"}
    ```
    """

    base = CaptionedImages

    @staticmethod
    def picture(index: int) -> Any:
        """A small image, another one for every index."""
        from graftwork.testing.toy_data import ToyDataset

        return ToyDataset(images=index + 1, size=32).image(index)

    def read(self, settings: Mapping[str, Any]) -> CaptionedImages:
        """The data set that the settings describe."""
        data = super().read(settings)
        assert isinstance(data, CaptionedImages)
        return data

    def test_examples_are_complete(self, tmp_path: Path) -> None:
        """The set has images in RGB, each with a caption, and passes its own check.

        When it fails: convert images to RGB, and give every example a caption.
        """
        data = self.read(self.make(tmp_path))
        data.check()
        for index in range(len(data)):
            mode = data.image(index).mode
            assert mode == "RGB", f"image {index} is {mode}; convert('RGB')"
            assert data.caption(index).strip(), f"caption {index} is empty"
        assert list(data.captions()) == [data.caption(i) for i in range(len(data))]

    def test_examples_repeat(self, tmp_path: Path) -> None:
        """Example i is the same at every call and in every instance.

        When it fails: sort the file names, and draw nothing at random.
        """
        settings = self.make(tmp_path)
        first, second = self.read(settings), self.read(settings)
        for index in reversed(range(len(first))):
            assert first.caption(index) == second.caption(index), "captions differ; sort the files"
            same = first.image(index).tobytes() == second.image(index).tobytes()
            assert same, f"image {index} differs between two readings; sort the files"

    def test_trigger_is_in_the_captions(self, tmp_path: Path) -> None:
        """Captions contain the trigger as a word, and captions without it do not.

        When it fails: build both captions from one template; without a trigger `caption_free`
        is None.
        """
        data = self.read(self.make(tmp_path))
        for index in range(len(data)):
            free = data.caption_free(index)
            if data.trigger is None:
                assert free is None, "caption_free without a trigger; return None"
                continue
            word = re.compile(rf"(?<!\w){re.escape(data.trigger)}(?!\w)", re.IGNORECASE)
            assert word.search(data.caption(index)), f"caption {index} lacks '{data.trigger}'"
            assert free is not None, f"caption_free({index}) is None though there is a trigger"
            assert not word.search(free), f"caption_free({index}) still has '{data.trigger}'"
            assert free == " ".join(free.split()), f"caption_free({index}) has stray spaces"

    def test_hash_follows_the_contents(self, tmp_path: Path) -> None:
        """The hash is the same for the same contents, and another one for other images.

        When it fails: hash the bytes of images and captions, not paths or dates.
        """
        settings = self.make(tmp_path)
        before = self.read(settings).hash()
        assert before == self.read(settings).hash(), "two hashes for one data set"
        changed = _first_image(tmp_path)
        if changed is None:
            return
        self.picture(7).save(changed)
        assert self.read(settings).hash() != before, f"the hash ignores {changed.name}; hash bytes"

    def test_bad_image_is_named(self, tmp_path: Path) -> None:
        """An image cut short is one error that names the file, before any training.

        When it fails: decode every image in `check`, and raise `GraftworkError` with its path.
        """
        settings = self.make(tmp_path)
        path = _first_image(tmp_path)
        if path is None:
            return
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with refused(path.name, remedy="decode every image in `check`, and name the file"):
            self.read(settings).check()


def _first_image(folder: Path) -> Path | None:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _IMAGES)
    return paths[0] if paths else None
