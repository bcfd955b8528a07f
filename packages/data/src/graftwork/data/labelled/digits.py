"""Handwritten digits that come inside scikit-learn's wheel: 1,797 of 8 x 8 pixels, ten classes.

The test part of UCI's Optical Recognition of Handwritten Digits (Alpaydin and Kaynak 1998).
"""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.data.labelled.label_set import Entry, TrainingSet
from graftwork.data.labelled.settings import LabelledConfig
from graftwork.data.labelled.source import MemoryPicture

_LEVELS = 16
"""Values run from 0 to this."""


@config
class DigitsConfig(LabelledConfig):
    """Settings of the digits."""


class Digits(TrainingSet):
    """White digits on black; the classes are "0" to "9".

    Raises:
        GraftworkError: scikit-learn is not installed.
    """

    def __init__(self, settings: DigitsConfig) -> None:
        names = [str(digit) for digit in range(10)]
        super().__init__(_entries(), names, settings)


def _entries() -> list[Entry]:
    with gzip.open(_path(), "rt") as file:
        table = np.loadtxt(file, delimiter=",")
    levels = torch.from_numpy(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / _LEVELS))
    pictures = levels.round().to(torch.uint8).expand(-1, 3, -1, -1)
    return [
        Entry(name=f"digit {place}", source=MemoryPicture(picture), label=str(int(label)))
        for place, (picture, label) in enumerate(zip(pictures, table[:, -1], strict=True))
    ]


def _path() -> Path:
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise GraftworkError(
            "data: the digits lie in the wheel of scikit-learn, which is not installed; run: pip "
            "install 'graftwork-data[offline]'"
        )
    return Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz"
