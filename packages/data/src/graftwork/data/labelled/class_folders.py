"""Images in a folder of each class."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.data.folder import is_image_name
from graftwork.data.images import SUFFIXES
from graftwork.data.labelled.label_set import Entry, TrainingSet
from graftwork.data.labelled.settings import LabelledConfig
from graftwork.data.labelled.source import FilePicture


@config
class ClassFoldersConfig(LabelledConfig):
    """Settings of the folders of classes."""

    path: str
    """A folder with a folder of images for each class, named as the class."""

    test_path: str | None = None
    """The same with the images to hold out; absent to hold out a share of each class."""

    domains: Mapping[str, str] = field(default_factory=dict)
    """The same from elsewhere, such as `sketch = "sketches/"`, for tests out of the domain."""


class ClassFolders(TrainingSet):
    """Images of which the folder is the class; files that are no images are counted.

    Raises:
        GraftworkError: a folder is missing or empty, or a test folder is of no class.
    """

    def __init__(self, settings: ClassFoldersConfig) -> None:
        folder = Path(settings.path).expanduser()
        entries, skipped = _listed(folder, "path")
        classes = sorted({entry.label for entry in entries})
        test = None
        if settings.test_path is not None:
            test, more = _listed(Path(settings.test_path).expanduser(), "test_path", classes)
            skipped += more
        domains: dict[str, Sequence[Entry]] = {}
        for name, path in settings.domains.items():
            domains[name], more = _listed(Path(path).expanduser(), f"domains.{name}", classes)
            skipped += more
        super().__init__(entries, classes, settings, test=test, domains=domains)
        self.skipped = tuple(skipped)


def _listed(
    folder: Path, key: str, classes: Sequence[str] | None = None
) -> tuple[list[Entry], list[Path]]:
    """The images of every class folder, and the files that are none."""
    if not folder.is_dir():
        raise GraftworkError(f"{folder}: no such folder; check data.{key}")
    entries: list[Entry] = []
    skipped: list[Path] = []
    for inner in sorted(path for path in folder.iterdir() if _counts(path) and path.is_dir()):
        if classes is not None and inner.name not in classes:
            known = did_you_mean(inner.name, classes)
            raise GraftworkError(f"{inner}: data.path has no class of that name{known}")
        files = sorted(path for path in inner.rglob("*") if _counts(path) and path.is_file())
        images = [path for path in files if is_image_name(path)]
        if not images:
            raise GraftworkError(
                f"{inner}: holds no images; put some there ({', '.join(SUFFIXES)}), or remove it"
            )
        skipped += [path for path in files if not is_image_name(path)]
        entries += [_entry(path, folder, inner.name) for path in images]
    if not entries:
        raise GraftworkError(f"{folder}: holds no folder; make one with images for each class")
    return entries, skipped


def _entry(path: Path, folder: Path, label: str) -> Entry:
    name = path.relative_to(folder).as_posix()
    return Entry(name=name, source=FilePicture(path), label=label)


def _counts(path: Path) -> bool:
    return not path.name.startswith(".")
