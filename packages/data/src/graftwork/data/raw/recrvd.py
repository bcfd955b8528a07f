"""ReCRVD, as its authors lay it out (Yue et al. 2023, arXiv:2305.00767).

    wb_scene_noisy/HoneyBee/SUBFOLDER/wb_noisy_1_0.tiff              frames 1-25, shots 0-9
    wb_scene_clean_postprocessed/HoneyBee/wb_clean_postprocessed_1.tiff
    train.txt, test.txt                                              names of scenes, one a line

A scene has one sub-folder, of any name; if a calibrated ISO stands in it, that is the clip's ISO.
The files seem to be white-balanced, so the noise calibrated for CRVD need not hold.
"""

import re
from pathlib import Path

from graftwork.core.errors import GraftworkError
from graftwork.data.raw.photographs import Split
from graftwork.raw.content import Content
from graftwork.raw.files.folder_clip import FileClip
from graftwork.raw.files.sequence import numbered
from graftwork.raw.pair import ClipPair, captured
from graftwork.raw.sensor import Sensor
from graftwork.raw.sensor_file import load_sensor

FRAMES = range(1, 26)
SHOTS = range(10)
BORDER = 16
"""Pixels on every side that registration may have spoilt; training leaves them away."""


def recrvd_scenes(root: Path, split: Split) -> tuple[str, ...]:
    """The names in train.txt or test.txt.

    Raises:
        GraftworkError: the list is missing or empty.
    """
    path = root / f"{split}.txt"
    if not path.is_file():
        raise GraftworkError(f"{path}: no such file; name the folder that ReCRVD was unpacked to")
    names = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    if not names:
        raise GraftworkError(f"{path}: lists no scene; restore it")
    return names


def recrvd_scene(
    root: Path, *, scene: str, shot: int = 0, sensor: Sensor | None = None
) -> ClipPair:
    """Twenty-five noisy frames of a scene, and their truth.

    Raises:
        GraftworkError: no such scene or shot, or files are missing.
    """
    if shot not in SHOTS:
        raise GraftworkError(f"ReCRVD: there is no shot {shot}; known: 0 to {SHOTS[-1]}")
    sensor = sensor or load_sensor("crvd")
    noisy = _only_folder(root / "wb_scene_noisy" / scene)
    clean = root / "wb_scene_clean_postprocessed" / scene
    iso = _iso(noisy.name, sensor)
    name = f"ReCRVD {scene}"
    return captured(
        FileClip(
            numbered(lambda frame: noisy / f"wb_noisy_{frame}_{shot}.tiff", FRAMES),
            sensor,
            content=Content.CAPTURED,
            iso=iso,
            name=name,
        ),
        FileClip(
            numbered(lambda frame: clean / f"wb_clean_postprocessed_{frame}.tiff", FRAMES),
            sensor,
            content=Content.CLEAN,
            iso=iso,
            name=f"{name}, truth",
        ),
    )


def _only_folder(scene: Path) -> Path:
    if not scene.is_dir():
        raise GraftworkError(f"{scene}: no such folder; check the scene and the data set's folder")
    inside = sorted(path for path in scene.iterdir() if path.is_dir())
    if len(inside) != 1:
        raise GraftworkError(
            f"{scene}: holds {len(inside)} folders, and ReCRVD has one for each scene; "
            "keep the one with the noisy frames"
        )
    return inside[0]


def _iso(folder: str, sensor: Sensor) -> int | None:
    numbers = {int(number) for number in re.findall(r"\d+", folder)}
    return next((iso for iso in sensor.isos if iso in numbers), None)
