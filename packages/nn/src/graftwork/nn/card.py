"""`adapter.json`: what an adapter file has to say besides its weights."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from graftwork.core.config import as_dict, config, parse
from graftwork.core.errors import GraftworkError

CARD = "adapter.json"
VERSION = 1

DType = Literal["float64", "float32", "bfloat16", "float16"]


@config
class SavedSite:
    """A site at the time of saving."""

    kind: str
    """Kind of the layer."""

    shape: tuple[int, int]
    """Rows and columns of W."""


@config
class Card:
    """The contents of `adapter.json`."""

    graftwork: int = VERSION
    """Version of the format."""

    method: str
    """Registered name of the adapter."""

    provider: str = ""
    """Distribution and version that brought the adapter."""

    settings: Mapping[str, Any]
    """The method's settings."""

    weight: float
    """How strongly the graft acted."""

    branch: Literal["positive", "negative"] | None = None
    """The branch of guidance that it acted on; absent for both."""

    dtype: DType
    """Dtype of the adapter's parameters."""

    sites: Mapping[str, SavedSite]
    """Every site by its dotted name."""

    sha256: str
    """Hash of the weights file."""

    backbone: str
    """Fingerprint of the backbone."""

    versions: Mapping[str, str]
    """Python, graftwork and its plugins at the time of saving."""


def write_card(folder: Path, card: Card) -> None:
    """Write `adapter.json` into a folder."""
    (folder / CARD).write_text(json.dumps(as_dict(card), indent=2) + "\n")


def read_card(folder: Path) -> Card:
    """The contents of `adapter.json`, checked for form.

    Raises:
        GraftworkError: it is no such file, of a later version, or of the wrong form.
    """
    path = folder / CARD
    try:
        data = json.loads(path.read_text())
        version = data["graftwork"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GraftworkError(f"{path}: not a graftwork adapter; save it again") from error
    if version != VERSION:
        raise GraftworkError(f"{path}: format {version} is not known; update graftwork-nn")
    return parse(Card, data, str(path))
