"""CRVD, as its authors lay it out (Yue et al. 2020, RViDeNet; CC BY-NC-SA 4.0, academic use).

    indoor_raw_noisy/scene7/ISO1600/frame1_noisy0.tiff          scenes 1-11, frames 1-7, shots 0-9
    indoor_raw_gt/scene7/ISO1600/frame1_clean_and_slightly_denoised.tiff
    outdoor_raw_noisy/scene1/iso25600/frame0.tiff               scenes 1-10, frames 0-49, no truth

Both indoor files may also lie in one folder, scene7/ISO1600, as RViDeNet's own scripts have it.
"""

from pathlib import Path

from graftwork.core.errors import GraftworkError
from graftwork.raw.content import Content
from graftwork.raw.files.folder_clip import FileClip
from graftwork.raw.files.sequence import numbered
from graftwork.raw.pair import ClipPair, captured
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import load_sensor

ISOS = (1600, 3200, 6400, 12800, 25600)
TRAIN_SCENES = tuple(range(1, 7))
TEST_SCENES = tuple(range(7, 12))
OUTDOOR_SCENES = tuple(range(1, 11))
FRAMES = range(1, 8)
SHOTS = range(10)
"""Noisy shots of each frame; figures are computed on shot 0."""


def crvd_indoor(
    root: Path, *, scene: int, iso: int, shot: int = 0, sensor: Sensor | None = None
) -> ClipPair:
    """Seven noisy frames of an indoor scene, and their truth (many shots' mean, weakly denoised).

    Raises:
        GraftworkError: no such scene, ISO or shot, or files are missing.
    """
    _one_of(scene, TRAIN_SCENES + TEST_SCENES, "scene")
    _one_of(iso, ISOS, "iso")
    _one_of(shot, tuple(SHOTS), "shot")
    sensor = sensor or load_sensor("crvd")
    inner = Path(f"scene{scene}") / f"ISO{iso}"
    noisy = _either(root / "indoor_raw_noisy" / inner, root / inner)
    truth = _either(root / "indoor_raw_gt" / inner, root / inner)
    name = f"CRVD scene {scene}, ISO {iso}"
    return captured(
        FileClip(
            numbered(lambda frame: noisy / f"frame{frame}_noisy{shot}.tiff", FRAMES),
            sensor,
            content=Content.CAPTURED,
            iso=iso,
            name=name,
        ),
        FileClip(
            numbered(
                lambda frame: truth / f"frame{frame}_clean_and_slightly_denoised.tiff", FRAMES
            ),
            sensor,
            content=Content.CLEAN,
            iso=iso,
            name=f"{name}, truth",
        ),
    )


def crvd_outdoor(
    root: Path, *, scene: int, iso: int = 25600, sensor: Sensor | None = None
) -> ClipPair:
    """Fifty noisy frames of an outdoor scene; nobody knows their truth.

    Raises:
        GraftworkError: no such scene, or files are missing.
    """
    _one_of(scene, OUTDOOR_SCENES, "scene")
    folder = root / "outdoor_raw_noisy" / f"scene{scene}" / f"iso{iso}"
    clip = FileClip(
        numbered(lambda frame: folder / f"frame{frame}.tiff", range(50)),
        sensor or load_sensor("crvd"),
        content=Content.CAPTURED,
        iso=iso,
        name=f"CRVD outdoor scene {scene}, ISO {iso}",
    )
    return captured(clip)


def _either(first: Path, second: Path) -> Path:
    found = next((folder for folder in (first, second) if folder.is_dir()), None)
    if found is None:
        raise GraftworkError(f"{first}: no such folder; name the folder that CRVD was unpacked to")
    return found


def _one_of(value: int, known: tuple[int, ...], what: str) -> None:
    if value not in known:
        raise GraftworkError(
            f"CRVD: there is no {what} {value}; known: {', '.join(map(str, known))}"
        )
