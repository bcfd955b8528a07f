"""The sheets in samples/, cut into one strip for every prompt and put into the page itself.

`samples/rows.json` names the rows: {"subject": [prompt, ...], "free": [prompt, ...],
"seeds": 4, "reference": 8}. Without it the sheets are shown whole.
"""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

GAP = 2
"""Pixels between two samples of a sheet."""
_TALLEST = 256
_LOSSLESS = 250_000


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture inside the page."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """What the frozen and the adapted backbone drew for one prompt."""

    prompt: str
    frozen: Picture | None
    adapted: Picture | None


@dataclass(frozen=True, kw_only=True)
class Sheets:
    """All pictures of a run."""

    reference: Picture | None = None
    subject: Sequence[Row] = ()
    free: Sequence[Row] = ()
    whole: Row | None = None
    """Both sheets uncut, where their rows are not known."""

    @property
    def samples(self) -> bool:
        """Whether anything was sampled."""
        return bool(self.subject or self.free or self.whole)


def read_sheets(folder: Path) -> Sheets:
    """The pictures that a run left in its samples folder; missing ones are left out."""
    rows = _rows(folder / "rows.json")
    frozen, adapted = _open(folder / "frozen.png"), _open(folder / "adapted.png")
    reference = _picture(
        _open(folder / "reference.png"), "the subject's own pictures", rows.get("reference", 0)
    )
    if frozen is None and adapted is None:
        return Sheets(reference=reference)
    subject, free = rows.get("subject", []), rows.get("free", [])
    prompts = [*subject, *free]
    if not all(_divides(sheet, prompts) for sheet in (frozen, adapted) if sheet):
        return Sheets(reference=reference, whole=_row("all prompts", frozen, adapted, 0))
    seeds = rows.get("seeds", 0)
    strips = zip(_strips(frozen, len(prompts)), _strips(adapted, len(prompts)), strict=True)
    cut = [_row(prompt, *pair, seeds) for prompt, pair in zip(prompts, strips, strict=True)]
    return Sheets(reference=reference, subject=cut[: len(subject)], free=cut[len(subject) :])


def _rows(path: Path) -> Mapping[str, Any]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return rows if isinstance(rows, dict) else {}


def _open(path: Path) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError:
        return None


def _divides(sheet: Image.Image, prompts: Sequence[str]) -> bool:
    return bool(prompts) and (sheet.height + GAP) % len(prompts) == 0


def _strips(sheet: Image.Image | None, rows: int) -> Iterator[Image.Image | None]:
    for row in range(rows):
        if sheet is None:
            yield None
        else:
            pitch = (sheet.height + GAP) // rows
            yield sheet.crop((0, row * pitch, sheet.width, (row + 1) * pitch - GAP))


def _row(prompt: str, frozen: Image.Image | None, adapted: Image.Image | None, seeds: int) -> Row:
    what = f"{seeds} samples" if seeds else "samples"
    return Row(
        prompt=prompt,
        frozen=_picture(frozen, f"{what} of the frozen model: {prompt}", seeds),
        adapted=_picture(adapted, f"{what} of the adapted model: {prompt}", seeds),
    )


def _picture(image: Image.Image | None, alt: str, columns: int) -> Picture | None:
    if image is None:
        return None
    shown = _see_through(image, columns)
    if columns and shown.height > _TALLEST:
        width = round(shown.width * _TALLEST / shown.height)
        shown = shown.resize((width, _TALLEST), Image.Resampling.LANCZOS)
    return Picture(uri=_uri(shown), width=shown.width, height=shown.height, alt=alt)


def _see_through(strip: Image.Image, columns: int) -> Image.Image:
    """Clear the gaps, so that the page shows between the pictures in dark as in light."""
    if not columns or (strip.width + GAP) % columns:
        return strip
    pitch = (strip.width + GAP) // columns
    mask = Image.new("L", strip.size, 0)
    for column in range(columns):
        left = column * pitch
        ImageDraw.Draw(mask).rectangle((left, 0, left + pitch - GAP - 1, strip.height), fill=255)
    strip = strip.copy()
    strip.putalpha(mask)
    return strip


def _uri(image: Image.Image) -> str:
    large = image.width * image.height > _LOSSLESS
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=88) if large else image.save(buffer, "PNG", optimize=True)
    kind = "webp" if large else "png"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
