"""Wrong labels, put in on purpose: the same at every reading.

Symmetric noise replaces an exact share r of n labels, round(r n) of them, each by one of the other
classes with equal chances (Zhang et al. 2017, arXiv:1611.03530, replace some by themselves). With
one seed the labels that a lower share changes are changed by a higher one too, and alike.
Class-dependent noise draws each label from the row of a transition matrix (Patrini et al. 2017,
arXiv:1609.03683).
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean

_SLACK = 1e-3
"""How far from 1 the sum of a row may be."""


def symmetric(
    labels: Int[Tensor, "examples"], share: float, *, classes: int, seed: int
) -> Int[Tensor, "examples"]:
    """Labels of which an exact share is wrong."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    steps = torch.randint(1, classes, (len(labels),), generator=generator)
    wrong = order[: round(share * len(labels))]
    noisy = labels.clone()
    noisy[wrong] = (labels[wrong] + steps[wrong]) % classes
    return noisy


def class_dependent(
    labels: Int[Tensor, "examples"], matrix: Float[Tensor, "classes classes"], *, seed: int
) -> Int[Tensor, "examples"]:
    """Labels drawn from the matrix's row of the true class."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(len(labels), generator=generator, dtype=matrix.dtype)
    below = matrix.cumsum(dim=1)[labels]
    return (drawn[:, None] >= below).sum(dim=1).clamp(max=len(matrix) - 1)


def read_matrix(path: Path, classes: Sequence[str]) -> Float[Tensor, "classes classes"]:
    """A transition matrix from a CSV file, a row for each true class.

    Raises:
        GraftworkError: it is no such file, has another size, or a row is no distribution.
    """
    rows = _rows(path)
    if any(len(row) != len(classes) for row in rows) or len(rows) != len(classes):
        raise GraftworkError(f"{path}: is not {len(classes)} x {len(classes)}, one for each class")
    try:
        matrix = torch.tensor([[float(value) for value in row] for row in rows]).double()
    except ValueError as error:
        raise GraftworkError(f"{path}: {error}; write numbers alone") from error
    for name, row in zip(classes, matrix, strict=True):
        if (row < 0).any() or not abs(float(row.sum()) - 1) <= _SLACK:
            raise GraftworkError(
                f"{path}: the row of '{name}' sums to {float(row.sum()):g}; write chances that "
                "sum to 1"
            )
    return matrix / matrix.sum(dim=1, keepdim=True)


def read_labels(path: Path, classes: Sequence[str], names: Sequence[str]) -> Mapping[str, int]:
    """Labels by the image's name from a CSV file with columns `image` and `label`.

    Raises:
        GraftworkError: it is no such file, or names an image or class that there is none of.
    """
    header, *rows = _rows(path) or [[]]
    if not {"image", "label"} <= set(header):
        raise GraftworkError(f"{path}: has no columns 'image' and 'label'; name them in its head")
    columns, known = (header.index("image"), header.index("label")), set(names)
    found: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        image, label = (row[column] if column < len(row) else "" for column in columns)
        if image not in known:
            raise GraftworkError(
                f"{path}: line {number}: '{image}' is no training image{did_you_mean(image, known)}"
            )
        if label not in classes:
            raise GraftworkError(
                f"{path}: line {number}: '{label}' is no class{did_you_mean(label, classes)}"
            )
        found[image] = list(classes).index(label)
    return found


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return [[value.strip() for value in row] for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise GraftworkError(f"{path}: cannot be read ({error}); give a CSV file") from error
