"""The suite for data sets of any task."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graftwork.core.config import parse
from graftwork.nn.dataset import Dataset
from graftwork.testing.plugins import PluginSuite


class DataSuite(PluginSuite):
    """Checks of one kind of data set.

    ```python
    class TestClips(DataSuite):
        name = "my-clips"

        def make(self, folder):
            write_a_clip(folder / "a")
            return {"path": str(folder)}
    ```

    A set of images with captions has `CaptionedImagesSuite`.
    """

    kind = "datasets"
    base = Dataset

    def make(self, folder: Path) -> Mapping[str, Any]:
        """Fill an empty folder with a small valid data set; return the settings to read it."""
        raise NotImplementedError("write `make(self, folder)`: fill the folder, return settings")

    def read(self, settings: Mapping[str, Any]) -> Dataset:
        """The data set that the settings describe."""
        parsed: Any = parse(self.record.settings_class(), {**self.settings, **settings}, self.name)
        data: Dataset = self.record.load()(parsed)
        return data

    def parsed(self, **changes: Any) -> Any:
        """Settings of a data set that need not exist."""
        settings = {**self.settings, **self._example(), **changes}
        return parse(self.record.settings_class(), settings, self.name)

    def test_it_checks_itself(self, tmp_path: Path) -> None:
        """A valid set has examples and passes its own check.

        When it fails: read the folder that `path` names.
        """
        data = self.read(self.make(tmp_path))
        data.check()
        assert len(data) > 0, "no example; read the folder that `path` names"
        assert len(data.captions()) in (0, len(data)), "captions: one for each example, or none"

    def test_hash_repeats(self, tmp_path: Path) -> None:
        """The hash is the same for the same contents.

        When it fails: hash bytes, not paths or dates.
        """
        settings = self.make(tmp_path)
        assert self.read(settings).hash() == self.read(settings).hash(), "two hashes for one set"

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
