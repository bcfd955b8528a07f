"""The kit's checks of the sets of labelled images."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from graftwork.testing import LabelledImagesSuite


def write_images(folder: Path, classes: Mapping[str, int], *, shift: int = 0) -> None:
    """`count` small pictures of each class in a folder of its name."""
    for colour, (name, count) in enumerate(classes.items()):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture = np.full((10, 12, 3), 40 * colour + 5 * number + shift, np.uint8)
            picture[number % 10] = 255
            Image.fromarray(picture).save(folder / name / f"{number}.png")


def write_idx(path: Path, values: np.ndarray) -> None:
    """A file in the format of MNIST."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(head + values.astype(np.uint8).tobytes())


class TestClassFolders(LabelledImagesSuite):
    name = "class-folders"

    def make(self, folder: Path) -> Mapping[str, Any]:
        write_images(folder / "train", {"cat": 6, "dog": 5, "owl": 4})
        write_images(folder / "test", {"cat": 2, "owl": 1}, shift=9)
        return {"path": str(folder / "train"), "test_path": str(folder / "test")}


class TestLabelFile(LabelledImagesSuite):
    name = "label-file"

    def make(self, folder: Path) -> Mapping[str, Any]:
        write_images(folder, {"cat": 6, "dog": 6})
        rows = [f"{name}/{n}.png,{name}" for name in ("cat", "dog") for n in range(6)]
        (folder / "labels.csv").write_text("image,label\n" + "\n".join(rows) + "\n")
        return {"path": str(folder / "labels.csv"), "test_share": 0.34}


class TestTorchvision(LabelledImagesSuite):
    name = "torchvision"

    def make(self, folder: Path) -> Mapping[str, Any]:
        for part, count in (("train", 20), ("t10k", 10)):
            images = np.arange(count * 28 * 28).reshape(count, 28, 28) % (251 - count)
            write_idx(folder / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", images)
            write_idx(folder / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", np.arange(count) % 10)
        return {"dataset": "MNIST", "path": str(folder)}


class TestDigits(LabelledImagesSuite):
    name = "digits"
    settings = {"per_class": 8}

    def make(self, folder: Path) -> Mapping[str, Any]:
        return {"classes": ["3", "8"]}


class TestPhotoPatches(LabelledImagesSuite):
    name = "photo-patches"
    settings = {"pieces": 5, "test_pieces": 3, "side": 24}

    def make(self, folder: Path) -> Mapping[str, Any]:
        return {"classes": ["coffee", "grass", "china"]}
