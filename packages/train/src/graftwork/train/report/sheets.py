"""The sheets in samples/, cut into one strip for every row and put into the page itself.

`samples/rows.json`, which `graftwork.train.pictures` writes, names the rows and says what is to be
expected of them. Without it the sheets are shown whole.
"""

import base64
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
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
    """What the frozen and the adapted backbone made of one thing."""

    name: str
    frozen: Picture | None
    adapted: Picture | None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows of which the same is expected."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, kw_only=True)
class Sheets:
    """All pictures of a run."""

    reference: Picture | None = None
    reference_title: str = ""
    groups: Sequence[Group] = ()
    note: str = ""
    sample: Sequence[str] = ()
    """What to write after `graftwork sample RUN` to see more."""


def read_sheets(folder: Path) -> Sheets:
    """The pictures that a run left in its samples folder; missing ones are left out."""
    document = _document(folder / "rows.json")
    reference = document.get("reference", {})
    title = reference.get("title", "")
    return Sheets(
        reference=_picture(_open(folder / "reference.png"), title, reference.get("columns", 0)),
        reference_title=title,
        groups=_groups(_open(folder / "frozen.png"), _open(folder / "adapted.png"), document),
        note=document.get("note", ""),
        sample=document.get("sample", ()),
    )


def _groups(
    frozen: Image.Image | None, adapted: Image.Image | None, document: Mapping[str, Any]
) -> Sequence[Group]:
    if frozen is None and adapted is None:
        return ()
    titles, columns = document.get("rows", {}), document.get("columns", 0)
    names = [name for rows in titles.values() for name in rows]
    if not all(_divides(sheet, names) for sheet in (frozen, adapted) if sheet):
        return [Group(title="Samples", rows=[_row("all", frozen, adapted, 0)])]
    strips = zip(_strips(frozen, len(names)), _strips(adapted, len(names)), strict=True)
    cut = (_row(name, *pair, columns) for name, pair in zip(names, strips, strict=True))
    grouped = [
        Group(title=title, rows=list(islice(cut, len(rows)))) for title, rows in titles.items()
    ]
    return [group for group in grouped if group.rows]


def _document(path: Path) -> Mapping[str, Any]:
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


def _divides(sheet: Image.Image, names: Sequence[str]) -> bool:
    return bool(names) and (sheet.height + GAP) % len(names) == 0


def _strips(sheet: Image.Image | None, rows: int) -> Iterator[Image.Image | None]:
    for row in range(rows):
        if sheet is None:
            yield None
        else:
            pitch = (sheet.height + GAP) // rows
            yield sheet.crop((0, row * pitch, sheet.width, (row + 1) * pitch - GAP))


def _row(name: str, frozen: Image.Image | None, adapted: Image.Image | None, columns: int) -> Row:
    what = f"{columns} samples" if columns else "samples"
    return Row(
        name=name,
        frozen=_picture(frozen, f"{what} of the frozen model: {name}", columns),
        adapted=_picture(adapted, f"{what} of the adapted model: {name}", columns),
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
