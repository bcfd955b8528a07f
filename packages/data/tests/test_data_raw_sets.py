"""CRVD and ReCRVD, read as their authors lay them out."""

import numpy as np
import pytest
import tifffile

from graftwork.core import GraftworkError
from graftwork.data.raw.crvd import TEST_SCENES, TRAIN_SCENES, crvd_indoor, crvd_outdoor
from graftwork.data.raw.recrvd import recrvd_scene, recrvd_scenes
from graftwork.raw.content import Content


def put(path, level):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.full((4, 6), level, dtype=np.uint16), photometric="minisblack")


def indoor(root, noisy="indoor_raw_noisy", truth="indoor_raw_gt", scene=7, iso=3200):
    inner = f"scene{scene}/ISO{iso}"
    for frame in range(1, 8):
        for shot in range(2):
            put(root / noisy / inner / f"frame{frame}_noisy{shot}.tiff", 1000 + 10 * frame + shot)
        put(root / noisy / inner / f"frame{frame}_clean.tiff", 3000)
        truth_name = f"frame{frame}_clean_and_slightly_denoised.tiff"
        put(root / truth / inner / truth_name, 2000 + 10 * frame)
    return root


@pytest.mark.parametrize("folders", [("indoor_raw_noisy", "indoor_raw_gt"), (".", ".")])
def test_crvd_indoor(tmp_path, folders):
    pair = crvd_indoor(indoor(tmp_path, *folders), scene=7, iso=3200, shot=1)
    assert [float(frame[0, 0]) for frame in pair.noisy] == [1011 + 10 * k for k in range(7)]
    assert [float(frame[0, 0]) for frame in pair.truth] == [2010 + 10 * k for k in range(7)]
    assert (pair.noisy.content, pair.truth.content) == (Content.CAPTURED, Content.CLEAN)
    assert (pair.noisy.iso, pair.noisy.sensor.pattern) == (3200, "GBRG")


def test_crvd_scenes_are_split_as_published():
    assert (TRAIN_SCENES, TEST_SCENES) == ((1, 2, 3, 4, 5, 6), (7, 8, 9, 10, 11))


def test_crvd_outdoor_has_no_truth(tmp_path):
    for frame in range(50):
        put(tmp_path / f"outdoor_raw_noisy/scene2/iso25600/frame{frame}.tiff", 500 + frame)
    pair = crvd_outdoor(tmp_path, scene=2)
    assert pair.truth is None
    assert (len(pair.noisy), float(pair.noisy.frame(49)[0, 0])) == (50, 549.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scene": 12}, "CRVD: there is no scene 12; known: 1, 2"),
        ({"iso": 800}, "CRVD: there is no iso 800; known: 1600"),
        ({"shot": 10}, "CRVD: there is no shot 10"),
        ({"scene": 8}, "scene8.* no such folder; name the folder that CRVD was unpacked to"),
        ({"shot": 2}, r"frame1_noisy2\.tiff: no such frame \(and 6 more\)"),
    ],
)
def test_crvd_that_is_not_there(tmp_path, options, message):
    indoor(tmp_path)
    with pytest.raises(GraftworkError, match=message):
        crvd_indoor(tmp_path, **({"scene": 7, "iso": 3200} | options))


def test_a_missing_frame_of_crvd_is_named(tmp_path):
    indoor(tmp_path)
    (tmp_path / "indoor_raw_noisy/scene7/ISO3200/frame4_noisy0.tiff").unlink()
    with pytest.raises(GraftworkError, match=r"frame4_noisy0\.tiff: no such frame; is the data"):
        crvd_indoor(tmp_path, scene=7, iso=3200)


def recrvd(root, scene="HoneyBee", sub="ISO12800"):
    for frame in range(1, 26):
        put(root / "wb_scene_noisy" / scene / sub / f"wb_noisy_{frame}_3.tiff", 500 + frame)
        clean = root / "wb_scene_clean_postprocessed" / scene
        put(clean / f"wb_clean_postprocessed_{frame}.tiff", 700 + frame)
    (root / "test.txt").write_text(f"{scene}\nlions\n\n")
    return root


@pytest.mark.parametrize(("sub", "iso"), [("ISO12800", 12800), ("anything", None), ("x7", None)])
def test_recrvd(tmp_path, sub, iso):
    pair = recrvd_scene(recrvd(tmp_path, sub=sub), scene="HoneyBee", shot=3)
    assert [float(frame[0, 0]) for frame in pair.noisy] == [501 + k for k in range(25)]
    assert [float(frame[0, 0]) for frame in pair.truth] == [701 + k for k in range(25)]
    assert pair.noisy.iso == iso


def test_recrvd_lists(tmp_path):
    assert recrvd_scenes(recrvd(tmp_path), "test") == ("HoneyBee", "lions")
    with pytest.raises(GraftworkError, match=r"train\.txt: no such file"):
        recrvd_scenes(tmp_path, "train")
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(GraftworkError, match="lists no scene"):
        recrvd_scenes(tmp_path, "train")


def test_recrvd_that_is_not_there(tmp_path):
    recrvd(tmp_path)
    with pytest.raises(GraftworkError, match="lions: no such folder"):
        recrvd_scene(tmp_path, scene="lions")
    with pytest.raises(GraftworkError, match="there is no shot 10"):
        recrvd_scene(tmp_path, scene="HoneyBee", shot=10)
    with pytest.raises(GraftworkError, match=r"wb_noisy_1_0\.tiff: no such frame"):
        recrvd_scene(tmp_path, scene="HoneyBee")
    (tmp_path / "wb_scene_noisy/HoneyBee/more").mkdir()
    with pytest.raises(GraftworkError, match="holds 2 folders"):
        recrvd_scene(tmp_path, scene="HoneyBee", shot=3)
