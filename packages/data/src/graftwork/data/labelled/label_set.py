"""Labelled images as a list: what the sets of this folder come down to."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.data.labelled import noise
from graftwork.data.labelled.settings import LabelledConfig
from graftwork.data.labelled.source import FilePicture, Source
from graftwork.labels.images import LabelledImages


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One picture of one class."""

    name: str
    source: Source
    label: str


class LabelSet(LabelledImages):
    """Pictures with their labels, of a few classes.

    Args:
        entries: all pictures.
        classes: the names of the classes, in the order of their labels.
        tolerant: whether pictures that cannot be read are passed over.
    """

    def __init__(
        self, entries: Sequence[Entry], classes: Sequence[str], *, tolerant: bool = False
    ) -> None:
        self.entries, self.classes, self.tolerant = tuple(entries), tuple(classes), tolerant
        places = {name: place for place, name in enumerate(classes)}
        self.given = torch.tensor([places[one.label] for one in entries], dtype=torch.long)
        """The labels before noise."""
        self.noisy: Int[Tensor, "examples"] = self.given

    def __len__(self) -> int:
        return len(self.entries)

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Picture `index`, read now."""
        return self.entries[index].source.read()

    def label(self, index: int) -> int:
        """Its class, as it is trained with."""
        return int(self.noisy[index])

    def name(self, index: int) -> str:
        """Its file, or its place."""
        return self.entries[index].name

    def labels(self) -> Int[Tensor, "examples"]:
        """All labels, as they are trained with."""
        return self.noisy

    def changed(self) -> Mapping[int, int]:
        """The labels that noise has replaced."""
        places = (self.noisy != self.given).nonzero()[:, 0].tolist()
        return {place: int(self.given[place]) for place in places}

    def read(self, path: Path) -> UInt8[Tensor, "3 height width"]:
        """A picture from disk."""
        return FilePicture(path).read()

    def check(self) -> None:
        """Require every class to have a picture; pictures are read later, once."""
        missing = sorted(set(range(len(self.classes))) - set(self.given.tolist()))
        if missing:
            raise GraftworkError(
                f"data: no picture of '{self.classes[missing[0]]}'; leave it out of data.classes"
            )

    def hash(self) -> str:
        """Of pictures and labels."""
        labels = repr((self.classes, self.noisy.tolist()))
        return hashlib.sha256((self._picture_hash + labels).encode()).hexdigest()

    def picture_hash(self) -> str:
        """Of the pictures alone."""
        return self._picture_hash

    @cached_property
    def _picture_hash(self) -> str:
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(entry.source.digest())
        return digest.hexdigest()


class TrainingSet(LabelSet):
    """Pictures to train on, some of their labels wrong if the settings say so, and those held out.

    Args:
        entries: pictures of training.
        classes: all classes that the set has; the settings may keep some of them.
        settings: what becomes of them.
        test: pictures to hold out; None to hold out a share of each class.
        domains: pictures from elsewhere, by the domain's name.

    Raises:
        GraftworkError: a class that is asked for is not there, or the noise does not fit.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        classes: Sequence[str],
        settings: LabelledConfig,
        *,
        test: Sequence[Entry] | None = None,
        domains: Mapping[str, Sequence[Entry]] | None = None,
    ) -> None:
        self.settings = settings
        kept = _chosen(classes, settings)
        entries = _of(entries, kept)
        if test is None:
            entries, test = _split(entries, kept, settings)
        entries = _first(entries, settings.per_class)
        super().__init__(entries, kept, tolerant=settings.skip_bad)
        self._test = LabelSet(_of(test, kept), kept, tolerant=settings.skip_bad)
        self._domains = {
            name: LabelSet(_of(some, kept), kept, tolerant=settings.skip_bad)
            for name, some in (domains or {}).items()
        }
        self.noisy = self._with_noise()

    def held_out(self) -> LabelledImages:
        """The test pictures, with their true labels."""
        return self._test

    def domains(self) -> Mapping[str, LabelledImages]:
        """Pictures from elsewhere."""
        return self._domains

    def check(self) -> None:
        """Require every class to have pictures, of training and of test."""
        super().check()
        if not len(self._test):
            raise GraftworkError("data: no test picture; raise data.test_share")

    def _with_noise(self) -> Int[Tensor, "examples"]:
        settings, given = self.settings, self.given
        if settings.noise_matrix is not None:
            matrix = noise.read_matrix(Path(settings.noise_matrix).expanduser(), self.classes)
            return noise.class_dependent(given, matrix, seed=settings.seed)
        if settings.noise_file is not None:
            names = [entry.name for entry in self.entries]
            path = Path(settings.noise_file).expanduser()
            found = noise.read_labels(path, self.classes, names)
            labels = zip(names, given.tolist(), strict=True)
            return torch.tensor([found.get(name, label) for name, label in labels])
        return noise.symmetric(given, settings.noise, classes=len(self.classes), seed=settings.seed)


def _chosen(classes: Sequence[str], settings: LabelledConfig) -> Sequence[str]:
    for name in settings.classes:
        if name not in classes:
            raise GraftworkError(f"data.classes: '{name}' is none{did_you_mean(name, classes)}")
    kept = settings.classes or tuple(classes)
    if len(kept) < 2:
        raise GraftworkError("data: has one class, which is nothing to tell apart; add another")
    return kept


def _of(entries: Sequence[Entry], classes: Sequence[str]) -> Sequence[Entry]:
    kept = set(classes)
    return [entry for entry in entries if entry.label in kept]


def _split(
    entries: Sequence[Entry], classes: Sequence[str], settings: LabelledConfig
) -> tuple[Sequence[Entry], Sequence[Entry]]:
    """Training and test: a share of each class, drawn."""
    generator = torch.Generator().manual_seed(settings.seed)
    held_out: set[int] = set()
    for name in classes:
        places = [place for place, entry in enumerate(entries) if entry.label == name]
        order = torch.randperm(len(places), generator=generator).tolist()
        count = min(max(1, round(settings.test_share * len(places))), len(places) - 1)
        held_out |= {places[place] for place in order[: max(count, 0)]}
    train = [entry for place, entry in enumerate(entries) if place not in held_out]
    return train, [entries[place] for place in sorted(held_out)]


def _first(entries: Sequence[Entry], per_class: int | None) -> Sequence[Entry]:
    if per_class is None:
        return entries
    seen: dict[str, int] = {}
    kept = []
    for entry in entries:
        seen[entry.label] = seen.get(entry.label, 0) + 1
        if seen[entry.label] <= per_class:
            kept.append(entry)
    return kept
