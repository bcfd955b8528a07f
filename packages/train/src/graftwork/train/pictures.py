"""Tensors to pictures and back."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from graftwork.core import atomic
from graftwork.nn.task import Sheets


def to_tensor(image: Image.Image, size: tuple[int, int]) -> Float[Tensor, "3 height width"]:
    """A picture cropped and resized to `size` (width, height), in 0..1."""
    fitted = ImageOps.fit(image.convert("RGB"), size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(fitted)).permute(2, 0, 1).float() / 255


def to_image(tensor: Float[Tensor, "3 height width"]) -> Image.Image:
    """A picture from values in 0..1."""
    array = (tensor.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(array)


def grid(
    samples: Float[Tensor, "samples 3 height width"], *, columns: int, gap: int = 2, scale: int = 1
) -> Image.Image:
    """All samples on one white sheet, row by row, each enlarged `scale` times."""
    tiles = [to_image(sample) for sample in samples]
    width, height = (side * scale + gap for side in tiles[0].size)
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width - gap, rows * height - gap), "white")
    for index, tile in enumerate(tiles):
        enlarged = tile.resize((width - gap, height - gap), Image.Resampling.LANCZOS)
        sheet.paste(enlarged, (index % columns * width, index // columns * height))
    return sheet


def save_all(
    samples: Float[Tensor, "n 3 height width"], names: Sequence[str], folder: Path
) -> None:
    """One PNG for every sample."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample, name in zip(samples, names, strict=True):
        to_image(sample).save(folder / f"{name}.png")


def save_sheets(sheets: Sheets, folder: Path) -> None:
    """Write `frozen.png`, `adapted.png`, perhaps `reference.png`, and `rows.json`, which names
    their rows."""
    folder.mkdir(exist_ok=True)
    for name, pictures in (("frozen", sheets.frozen), ("adapted", sheets.adapted)):
        grid(pictures, columns=sheets.columns).save(folder / f"{name}.png")
    document: dict[str, Any] = {
        "columns": sheets.columns,
        "rows": {title: list(rows) for title, rows in sheets.rows.items()},
        "note": sheets.note,
        "sample": list(sheets.sample),
    }
    if sheets.reference is not None:
        columns = len(sheets.reference)
        grid(sheets.reference, columns=columns).save(folder / "reference.png")
        document["reference"] = {"title": sheets.reference_title, "columns": columns}
    atomic.write_text(folder / "rows.json", json.dumps(document, indent=2) + "\n")
