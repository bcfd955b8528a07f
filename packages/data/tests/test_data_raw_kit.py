"""The kit's checks of the sets of raw clips."""

from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from graftwork.data.raw.crvd import FRAMES as CRVD_FRAMES
from graftwork.data.raw.recrvd import FRAMES as RECRVD_FRAMES
from graftwork.raw.files.writing import write_clip, write_mosaic
from graftwork.raw.sensor_file import load_sensor
from graftwork.testing import RawVideosSuite

SENSOR = load_sensor("crvd")


def mosaic(seed: int, side: int = 48) -> torch.Tensor:
    """Whole DN between black and white, around a bright mean."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(400, 2000, (side, side), generator=generator).float()


class TestPhotographs(RawVideosSuite):
    name = "raw-photographs"
    settings = {"isos": [3200], "frames": 2, "side": 64, "places": 1}

    def make(self, folder: Path):
        return {"photographs": ["coffee", "rocket"]}


class TestPhotographsOfAnotherSensor(RawVideosSuite):
    name = "raw-photographs"
    settings = {"isos": [6400], "frames": 2, "side": 64, "black_error": 12.0, "places": 1}

    def make(self, folder: Path):
        return {"photographs": ["coffee"], "response": [0.6, 1.0, 1.5, 1.0]}


class TestNoisyClips(RawVideosSuite):
    name = "raw-clips"

    def make(self, folder: Path):
        for number, clip in enumerate(("train/a", "train/b", "test/c")):
            for part in ("noisy", "truth"):
                frames = [mosaic(3 * number + frame) for frame in range(2)]
                write_clip(folder / clip / part, frames, SENSOR)
        train, test = str(folder / "train"), str(folder / "test")
        return {
            "path": train,
            "test_path": test,
            "frames": "noisy",
            "isos": [1600],
            "sensor": "crvd",
        }


class TestCleanClips(RawVideosSuite):
    name = "raw-clips"

    def make(self, folder: Path):
        write_clip(folder / "a", [mosaic(0), mosaic(1)], SENSOR)
        (folder / "a" / "sensor.toml").rename(folder / "sensor.toml")
        return {"path": str(folder), "frames": "clean", "isos": [1600, 6400]}


def picture(path: Path, seed: int, side: int) -> None:
    """A smooth coloured picture."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (fine[0] * 255).to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path)


def film(path: Path) -> None:
    """A few frames of growing light."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(4):
            picture = np.full((64, 64, 3), 40 * number + 20, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())


class TestOrdinaryClips(RawVideosSuite):
    name = "raw-clips"

    def make(self, folder: Path):
        for clip in ("train/a", "test/b"):
            for frame in range(8, 11):
                picture(folder / clip / f"{frame}.png", frame + len(clip), 65)
        film(folder / "train" / "c.mp4")
        settings = {"frames": "ordinary", "isos": [1600], "sensor": "crvd"}
        return settings | {"path": str(folder / "train"), "test_path": str(folder / "test")}


class TestOwnPhotographs(RawVideosSuite):
    name = "raw-photographs"
    settings = {"isos": [3200], "frames": 2, "side": 64, "places": 1}

    def make(self, folder: Path):
        picture(folder / "train" / "one.png", 0, 120)
        picture(folder / "train" / "two.jpg", 1, 130)
        picture(folder / "test" / "three.png", 2, 120)
        return {"path": str(folder / "train"), "test_path": str(folder / "test")}


class TestCRVD(RawVideosSuite):
    name = "crvd"

    def make(self, folder: Path):
        for scene in (*range(1, 7), *range(7, 12)):
            place = folder / f"scene{scene}" / "ISO1600"
            for frame in CRVD_FRAMES:
                truth = place / f"frame{frame}_clean_and_slightly_denoised.tiff"
                write_mosaic(truth, mosaic(scene), SENSOR)
                for shot in range(2):
                    noisy = place / f"frame{frame}_noisy{shot}.tiff"
                    write_mosaic(noisy, mosaic(scene + 20 * shot), SENSOR)
        return {"path": str(folder), "isos": [1600]}


class TestReCRVD(RawVideosSuite):
    name = "recrvd"

    def make(self, folder: Path):
        for split, scene, base in (("train", "goat", 0), ("test", "bear", 100)):
            (folder / f"{split}.txt").write_text(f"{scene}\n")
            for frame in RECRVD_FRAMES:
                clean = folder / "wb_scene_clean_postprocessed" / scene
                noisy = folder / "wb_scene_noisy" / scene / "ISO6400"
                write_mosaic(
                    clean / f"wb_clean_postprocessed_{frame}.tiff", mosaic(base + frame), SENSOR
                )
                for shot in range(2):
                    path = noisy / f"wb_noisy_{frame}_{shot}.tiff"
                    write_mosaic(path, mosaic(base + frame + 30 * shot), SENSOR)
        return {"path": str(folder)}
