"""Data sets of torchvision that are on disk already: nothing is downloaded."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError, one_line
from graftwork.core.importing import import_target
from graftwork.core.nearest import did_you_mean
from graftwork.data.labelled.label_set import Entry, TrainingSet
from graftwork.data.labelled.settings import LabelledConfig
from graftwork.data.labelled.source import ArchivedPicture

Part = Literal["train", "test"]

# Where torchvision's classes keep labels, so that no picture is decoded to read them.
_LABELS = ("targets", "labels", "_labels", "y")


@config
class TorchvisionConfig(LabelledConfig):
    """Settings of a data set of torchvision."""

    dataset: str
    """Its class in `torchvision.datasets`, such as "CIFAR10" or "Flowers102"."""

    path: str
    """The folder that torchvision calls `root`."""

    train_split: str = "train"
    """What its argument `split` is called for training, where it has one."""

    test_split: str = "test"
    """And for the images to hold out."""


class TorchvisionSet(TrainingSet):
    """A data set as torchvision reads it, training and test part.

    torchvision checks the hashes of the files of those sets, such as CIFAR, that are pickles.

    Raises:
        GraftworkError: torchvision has no such class, or the data is not under `path`.
    """

    def __init__(self, settings: TorchvisionConfig) -> None:
        train, test = (_archive(settings, part) for part in ("train", "test"))
        classes = _classes(train)
        super().__init__(
            _entries(train, classes, "train"),
            classes,
            settings,
            test=None if test is None else _entries(test, classes, "test"),
        )


def _archive(settings: TorchvisionConfig, part: Part) -> Any:
    """One part of the data set; None for the test part of one without parts."""
    name = settings.dataset
    every = import_target(
        "torchvision:datasets", place="data.dataset", install="graftwork-data[torchvision]"
    )
    if name not in every.__all__:
        known_names = did_you_mean(name, every.__all__)
        raise GraftworkError(f"data.dataset: torchvision has no '{name}'{known_names}")
    cls = getattr(every, name)
    known = inspect.signature(cls).parameters
    if "train" in known:
        own: dict[str, Any] = {"train": part == "train"}
    elif "split" in known:
        own = {"split": settings.train_split if part == "train" else settings.test_split}
    else:
        own = {}
    if part == "test" and not own:
        return None
    try:
        return cls(str(Path(settings.path).expanduser()), **own)
    except Exception as error:  # every class has errors of its own
        raise GraftworkError(
            f"data: torchvision's {name} cannot be read from {settings.path} ({one_line(error)}); "
            "put its files there"
        ) from error


def _classes(archive: Any) -> Sequence[str]:
    names = getattr(archive, "classes", None)
    if names is not None:
        return [str(name) for name in names]
    return [str(label) for label in range(1 + max(_labels(archive)))]


def _labels(archive: Any) -> list[int]:
    for attribute in _LABELS:
        found = getattr(archive, attribute, None)
        if found is not None:
            return [int(label) for label in found]
    return [int(archive[place][1]) for place in range(len(archive))]


def _entries(archive: Any, classes: Sequence[str], part: Part) -> list[Entry]:
    return [
        Entry(
            name=f"{part} {place}",
            source=ArchivedPicture(archive, place),
            label=classes[label],
        )
        for place, label in enumerate(_labels(archive))
    ]
