"""Labelled images that are made up on the spot, and a classifier's view of some."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from graftwork.labels.evaluation import Classified
from graftwork.labels.images import LabelledImages
from graftwork.testing.toy_evaluation import Outcome

_CLASSES = ("waves", "stripes", "rings")


class ToyLabels(LabelledImages):
    """Waves, stripes and rings of many colours, `examples` of them in turn."""

    classes = _CLASSES

    def __init__(self, *, examples: int = 6, side: int = 24, part: str = "train") -> None:
        self.examples, self.side, self.part = examples, side, part

    def __len__(self) -> int:
        return self.examples

    def image(self, index: int) -> UInt8[Tensor, "3 height width"]:
        """Another colour and phase for every number."""
        rows, columns = torch.meshgrid(*[torch.arange(self.side)] * 2, indexing="ij")
        middle = (self.side - 1) / 2
        place = (
            rows + columns,
            columns,
            ((rows - middle) ** 2 + (columns - middle) ** 2).sqrt(),
        )[self.label(index)]
        phase = index + 0.5 * (self.part == "test")
        level = 0.5 + 0.4 * torch.sin(place / 2.0 + phase)
        colour = torch.tensor([1.0, 0.4 + 0.05 * (index % 10), 0.9 - 0.06 * (index % 7)])
        return (255 * level * colour[:, None, None]).to(torch.uint8)

    def label(self, index: int) -> int:
        """Each class in turn."""
        return index % len(_CLASSES)

    def name(self, index: int) -> str:
        """Its class and number."""
        return f"{self.part} {_CLASSES[self.label(index)]} {index}"

    def read(self, path: Path) -> UInt8[Tensor, "3 height width"]:
        """The picture whose number the file's name is."""
        return self.image(int(path.stem))

    def held_out(self) -> "ToyLabels | None":
        """As many others."""
        if self.part == "test":
            return None
        return ToyLabels(examples=self.examples, side=self.side, part="test")

    def check(self) -> None:
        """Nothing can be wrong."""

    def hash(self) -> str:
        """Hash of what decides everything."""
        return self.picture_hash()

    def picture_hash(self) -> str:
        """Hash of what decides everything."""
        said = f"toy labels {self.examples} {self.side} {self.part}"
        return hashlib.sha256(said.encode()).hexdigest()


class ToyClassifications:
    """Three classes, twelve images of each of three sets, with what a classifier might see.

    "ordinary": three of four right, with middling confidence. "unchanged": what the frozen
    backbone sees, all wrong. "reproduced": all right and sure of it.
    """

    def __init__(self, outcome: Outcome = "ordinary") -> None:
        self.outcome = outcome

    def classified(self, *, adapted: bool) -> Sequence[Classified]:
        """The test set, and a blur at two severities."""
        outcome = self.outcome if adapted else "unchanged"
        return [self._made(*one, outcome) for one in (("", 0), ("blur", 1), ("blur", 3))]

    def _made(self, domain: str, severity: int, outcome: Outcome) -> Classified:
        labels = torch.arange(12) % 3
        wrong = {
            "ordinary": torch.arange(12) % 4 == 3,
            "unchanged": torch.ones(12, dtype=torch.bool),
            "reproduced": torch.zeros(12, dtype=torch.bool),
        }[outcome]
        seen = torch.where(wrong, (labels + 1) % 3, labels)
        sure = 40.0 if outcome == "reproduced" else 1.5
        generator = torch.Generator().manual_seed(severity)
        frozen = torch.randn(12, 5, generator=generator)
        change = torch.randn(12, 5, generator=generator)
        return Classified(
            domain=domain,
            severity=severity,
            kept=torch.arange(12),
            labels=labels,
            logits=sure * torch.nn.functional.one_hot(seen, 3).float(),
            features=frozen if outcome == "unchanged" else frozen + 0.3 * change,
            frozen_features=frozen,
        )
