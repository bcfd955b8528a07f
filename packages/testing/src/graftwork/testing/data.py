"""Checks of a data set."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftwork.core.config import parse
from graftwork.nn.dataset import Dataset
from graftwork.testing.compare import refused
from graftwork.testing.plugins import PluginSuite

_IMAGES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


class DataSuite(PluginSuite):
    """Checks of one kind of data set.

    ```python
    class TestSubject(DataSuite):
        name = "subject"

        def make(self, folder):
            for index in range(3):
                self.picture(index).save(folder / f"{index}.png")
            return {"path": str(folder), "trigger": "sks", "class_word": "cat"}
    ```
    """

    kind = "datasets"
    base = Dataset

    def make(self, folder: Path) -> Mapping[str, Any]:
        """Fill an empty folder with a small valid data set; return the settings to read it."""
        raise NotImplementedError("write `make(self, folder)`: fill the folder, return settings")

    @staticmethod
    def picture(index: int) -> Any:
        """A small image, another one for every index."""
        from graftwork.testing.toy_data import ToyDataset

        return ToyDataset(images=index + 1, size=32).image(index)

    def read(self, settings: Mapping[str, Any]) -> Dataset:
        """The data set that the settings describe."""
        parsed: Any = parse(self.record.settings_class(), {**self.settings, **settings}, self.name)
        data: Dataset = self.record.load()(parsed)
        return data

    def parsed(self, **changes: Any) -> Any:
        """Settings of a data set that need not exist."""
        settings = {**self.settings, **self._example(), **changes}
        return parse(self.record.settings_class(), settings, self.name)

    def test_examples_are_complete(self, tmp_path: Path) -> None:
        """The set has images in RGB, each with a caption, and passes its own check.

        When it fails: convert images to RGB, and give every example a caption.
        """
        data = self.read(self.make(tmp_path))
        data.check()
        assert len(data) > 0, "no example; read the folder that `path` names"
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

    def test_task_is_declared_once(self, tmp_path: Path) -> None:
        """Record and class agree on the task.

        When it fails: give `task` the same value in both.
        """
        declared, own = getattr(self.record, "task", None), self.read(self.make(tmp_path)).task
        assert declared == own, f"task: {declared} in the record, {own} in the class"

    def _example(self) -> Mapping[str, Any]:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            return self.make(Path(folder))


def _first_image(folder: Path) -> Path | None:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _IMAGES)
    return paths[0] if paths else None
