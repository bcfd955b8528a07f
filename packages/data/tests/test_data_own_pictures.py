"""A person's own photographs and pictures of a film, as raw clips."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.core.config import parse
from graftwork.data.raw.clip_set import RawClips, RawClipsConfig
from graftwork.data.raw.photograph_set import RawPhotographs, RawPhotographsConfig
from graftwork.raw.mosaic import pack
from graftwork.raw.videos import RawVideos


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        (RawClips, {"frames": "ordinary"}, r"data\.isos: is empty, and ordinary frames get noise"),
        (RawPhotographs, {"photographs": ["a"]}, r"data\.photographs: 'a': unknown; known: a\.png"),
        (RawPhotographs, {"path": "none"}, "none: no such folder"),
        (RawPhotographs, {"side": 97}, r"data\.side: 97 is odd"),
        (RawPhotographs, {"black_error": -300.0}, r"data\.black_error: -300 takes the black"),
        (RawPhotographs, {"black_error": 4000.0}, r"data\.black_error: 4000 takes the black"),
        (RawPhotographs, {"path": None, "test_path": "."}, r"data\.test_path: stands alone"),
    ],
)
def test_own_pictures_that_cannot_be_used(
    tmp_path: Path, kind: type[RawVideos], settings: dict[str, Any], told: str
) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    given = {"path": str(tmp_path), "sensor": "crvd"} | settings
    config: Any = RawClipsConfig if kind is RawClips else RawPhotographsConfig
    with pytest.raises(GraftworkError, match=told):
        kind(parse(config, {key: v for key, v in given.items() if v is not None}, "data"))


def test_without_a_test_path_own_photographs_are_judged_on(tmp_path: Path) -> None:
    Image.new("RGB", (200, 200), "red").save(tmp_path / "a.png")
    data = RawPhotographs(RawPhotographsConfig(path=str(tmp_path), side=64, isos=(1600,)))
    assert data.held_out() is None
    red, green, blue, _ = pack(data.pair(0).truth.frame(0), "GBRG").mean((1, 2)) - 240
    assert red > 2 * max(green, blue)
