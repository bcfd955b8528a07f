"""Judging a classifier: the test images, and the same after corruptions, looked at once for all."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.core import plugins
from graftwork.core.config import Ge, Le, config
from graftwork.core.errors import GraftworkError
from graftwork.labels.cards import cards
from graftwork.labels.classifier import ImageClassifier
from graftwork.labels.corrupted import CorruptedImages
from graftwork.labels.corruptions import Corruption
from graftwork.labels.images import LabelledImages
from graftwork.labels.selected import SelectedImages
from graftwork.nn import frozen
from graftwork.nn.task import Evaluation, Sheets


@config
class Judging:
    """What an adapter is judged on."""

    corruptions: tuple[Corruption, ...] = ()
    """What happens to the test images besides, each a domain of its own: "blur", "noise",
    "contrast", "rotation", "tint", "crops"."""

    severities: tuple[Annotated[int, Ge(1), Le(5)], ...] = (1, 2, 3, 4, 5)
    """How much of it, from 1 to 5; a domain's figures are the mean over them."""

    images: Annotated[int, Ge(1)] | None = None
    """How many test images, evenly over all; absent for all."""

    shown: Annotated[int, Ge(1)] = 6
    """Images of each domain in the report."""

    def __post_init__(self) -> None:
        if not self.severities:
            raise ValueError("severities: is empty; name some of 1 to 5")


@dataclass(frozen=True, kw_only=True)
class Classified:
    """One set of images with what was made of them."""

    domain: str
    """Where they are from; empty for the test set itself."""
    severity: int = 0
    """How much was done to them, 1 to 5; 0 where nothing was."""
    kept: Int[Tensor, "examples"]
    """Which images of the set these are; those that cannot be read are left out."""
    labels: Int[Tensor, "examples"]
    logits: Float[Tensor, "examples classes"]
    features: Float[Tensor, "examples dims"]
    """Z: what the classifier is given, after a head has changed it."""
    frozen_features: Float[Tensor, "examples frozen_dims"]
    """F: the pooled features of the frozen backbone."""


@runtime_checkable
class Classifications(Protocol):
    """What a metric may ask of an adapted classifier."""

    def classified(self, *, adapted: bool) -> Sequence[Classified]:
        """Every set that is judged, the test set first, by the adapted or the frozen backbone."""


class ClassificationEvaluation(Evaluation):
    """The `Classifications` of a backbone."""

    def __init__(self, backbone: ImageClassifier, data: LabelledImages, settings: Judging) -> None:
        self.backbone, self.data, self.settings = backbone, data, settings
        self.test = self._cut(data.held_out() or data)
        _refuse_domains(data.domains(), settings)
        self._kept: dict[bool, Sequence[Classified]] = {}

    def classified(self, *, adapted: bool) -> Sequence[Classified]:
        """Every set that is judged."""
        if adapted not in self._kept:
            if adapted:
                self._kept[True] = self._all()
            else:
                with frozen(self.backbone.module):
                    self._kept[False] = self._all()
        return self._kept[adapted]

    def forget(self) -> None:
        """Drop what the adapted backbone made."""
        self._kept.pop(True, None)

    def predictions(self) -> Sequence[Mapping[str, Any]]:
        """The class that both see in every test image; and the labels that noise changed."""
        before, after = (self.classified(adapted=which)[0] for which in (False, True))
        shares = after.logits.softmax(1)
        rows = [
            {
                "image": self.test.name(place),
                "class": self._class(int(after.labels[row])),
                "frozen": self._class(int(before.logits[row].argmax())),
                "adapted": self._class(int(after.logits[row].argmax())),
                "probability": round(float(shares[row].max()), 4),
            }
            for row, place in enumerate(after.kept.tolist())
        ]
        return [*rows, *self._changed()]

    def sheets(self) -> Sheets:
        """Some images of every domain, with the class that is seen in them."""
        before, after = (self.classified(adapted=which) for which in (False, True))
        chosen = self._last_of_each()
        count = min(self.settings.shown, *(len(after[place].kept) for place in chosen))
        return Sheets(
            frozen=self._cards(before, chosen, count),
            adapted=self._cards(after, chosen, count),
            columns=count,
            rows={"Test images, and other domains": [_title(after[place]) for place in chosen]},
            note="Nothing was picked: these are spread over the test images.",
            sample=("IMAGE",),
        )

    def _all(self) -> Sequence[Classified]:
        made, sets = [], list(self._sets())
        for done, (domain, severity, images) in enumerate(sets, start=1):
            predicted = self.backbone.predict(images)
            made.append(
                Classified(
                    domain=domain,
                    severity=severity,
                    kept=predicted.kept,
                    labels=images.labels()[predicted.kept],
                    logits=predicted.logits,
                    features=predicted.features,
                    frozen_features=predicted.frozen_features,
                )
            )
            if len(sets) > 1:
                plugins.manager().hook.work_done(what="domains", done=done, total=len(sets))
        return made

    def _sets(self) -> Iterator[tuple[str, int, LabelledImages]]:
        yield "", 0, self.test
        for name, images in self.data.domains().items():
            yield name, 0, self._cut(images)
        for corruption in self.settings.corruptions:
            for severity in self.settings.severities:
                yield corruption, severity, CorruptedImages(self.test, corruption, severity)

    def _cut(self, images: LabelledImages) -> LabelledImages:
        count = self.settings.images
        if count is None or count >= len(images):
            return images
        return SelectedImages.spread(images, count)

    def _last_of_each(self) -> list[int]:
        """The place of each domain's last set, which is the severest."""
        places = {domain: place for place, (domain, _, _) in enumerate(self._sets())}
        return sorted(places.values())

    def _cards(
        self, every: Sequence[Classified], chosen: Sequence[int], count: int
    ) -> Float[Tensor, "samples 3 height width"]:
        sets = [images for _, _, images in self._sets()]
        rows = [
            cards(sets[place], every[place].kept, every[place].logits, count) for place in chosen
        ]
        return torch.cat(rows)

    def _changed(self) -> list[Mapping[str, Any]]:
        return [
            {
                "image": self.data.name(index),
                "class": self._class(before),
                "trained as": self._class(self.data.label(index)),
            }
            for index, before in self.data.changed().items()
        ]

    def _class(self, label: int) -> str:
        return self.data.classes[label]


def _title(one: Classified) -> str:
    name = one.domain or "test"
    return f"{name} {one.severity}" if one.severity else name


def _refuse_domains(domains: Iterable[str], settings: Judging) -> None:
    """Refuse a domain of a name that figures have for something else."""
    taken = ("", "ood", "frozen", *settings.corruptions)
    for name in domains:
        if name in taken:
            raise GraftworkError(f"data.domains: '{name}' is taken; rename that domain")
