"""Tensors to pictures and back."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image, ImageOps
from torch import Tensor

from graftwork.core import atomic
from graftwork.nn.metric import Evaluation


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


def save_sheets(evaluation: Evaluation, folder: Path) -> None:
    """The evaluation's pictures as sheets: `reference.png`, `adapted.png` and `frozen.png`.

    The last two have one row for each prompt, one column for each seed; `rows.json` names them.
    """
    folder.mkdir(exist_ok=True)
    reference = evaluation.reference
    grid(reference, columns=len(reference)).save(folder / "reference.png")
    prompts = (*evaluation.subject_prompts, *evaluation.free_prompts)
    for name, adapted in (("adapted", True), ("frozen", False)):
        samples = evaluation.samples(prompts, adapted=adapted)
        grid(samples, columns=len(evaluation.seeds)).save(folder / f"{name}.png")
    rows = {
        "subject": list(evaluation.subject_prompts),
        "free": list(evaluation.free_prompts),
        "seeds": len(evaluation.seeds),
        "reference": len(reference),
    }
    atomic.write_text(folder / "rows.json", json.dumps(rows, indent=2) + "\n")
