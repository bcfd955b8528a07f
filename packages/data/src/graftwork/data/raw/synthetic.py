"""A clean raw clip from one photograph and a moving camera.

The photograph is unprocessed first and moved then: mixing pixels is what light does, and gamma
values do not. Every pixel of the mosaic is read once, in its own colour, so the truth has passed
one resampling and no demosaicing. The truth stays unrounded and is not noisy; `NoisedClip` makes
the sensor's numbers of it.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.data.raw.camera_path import Pose
from graftwork.data.raw.resampling import REACH, sample
from graftwork.raw.cfa import plane_offsets
from graftwork.raw.clip import RawClip
from graftwork.raw.content import Content
from graftwork.raw.levels import black_map
from graftwork.raw.sensor import Sensor


@final
class SyntheticClip(RawClip):
    """Frames of `size` (rows, columns) that a camera on `path` takes of the scene.

    Exposure multiplies the light: it moves the signal-to-noise ratio of every frame, so figures of
    two exposures do not compare.
    """

    def __init__(
        self,
        scene: Float[Tensor, "3 height width"],
        *,
        path: tuple[Pose, ...],
        size: tuple[int, int],
        sensor: Sensor,
        exposure: float,
        name: str,
        place: tuple[float, float] = (0.5, 0.5),
    ) -> None:
        """Point the camera.

        Args:
            scene: The camera's linear colours in [0, 1], as `unprocess` gives them.
            path: A pose for each frame.
            size: Rows and columns of the mosaic; even.
            sensor: Whose numbers the frames are in.
            exposure: Share of the sensor's range that a full value of the scene fills.
            name: What errors call the clip.
            place: Where in the photograph, as shares of the room that the path leaves.

        Raises:
            GraftworkError: the path leaves the photograph, or the exposure is not above 0.
        """
        if not exposure > 0:
            raise GraftworkError(f"{name}: exposure {exposure:g} is not above 0; choose 0.15 to 1")
        if not path:
            raise GraftworkError(f"{name}: a path of no frames; ask for at least 1")
        super().__init__(
            name=name,
            sensor=sensor,
            content=Content.CLEAN,
            iso=None,
            length=len(path),
            size=size,
        )
        self.exposure = exposure
        self._scene = scene
        self._path = path
        self._centre = _centre(scene, path, size, place, name)

    def frame(self, index: int) -> Float[Tensor, "height width"]:
        """The clean mosaic at `index` in DN, with fractions."""
        self.check_range(index, 1)
        down, right = _places(self._path[index], self._centre, self.size)
        # float64 places: the weights of a half pixel must not depend on where in the image it is.
        channel = _channels(self.sensor, self.size)
        light = sample(self._scene.double(), channel=channel, down=down, right=right)
        # Lanczos overshoots at edges; there is no light below none.
        light = (light * self.exposure).clamp(0, 1)
        black = black_map(self.sensor, *self.size)
        return (light * (self.sensor.white_level - black) + black).float()


def _centre(
    scene: Tensor,
    path: tuple[Pose, ...],
    size: tuple[int, int],
    place: tuple[float, float],
    name: str,
) -> tuple[float, float]:
    """The middle of the first frame, such that every frame lies inside the scene."""
    found = []
    half_rows, half_columns = (size[0] - 1) / 2, (size[1] - 1) / 2
    for axis, (length, share) in enumerate(zip(scene.shape[-2:], place, strict=True)):
        reach = [_reach(pose, half_rows, half_columns)[axis] for pose in path]
        shifts = [(pose.down, pose.right)[axis] for pose in path]
        lowest = max(extent - shift for extent, shift in zip(reach, shifts, strict=True)) + REACH
        last = length - 1 - REACH
        highest = last - max(extent + shift for extent, shift in zip(reach, shifts, strict=True))
        if highest < lowest:
            raise GraftworkError(
                f"{name}: its camera path needs {lowest - highest:.0f} more "
                f"{('rows', 'columns')[axis]} than the photograph has; ask for fewer or smaller "
                "frames, or slower motion"
            )
        found.append(lowest + share * (highest - lowest))
    return found[0], found[1]


def _reach(pose: Pose, rows: float, columns: float) -> tuple[float, float]:
    """Half the height and width that a turned frame covers."""
    cosine, sine = abs(math.cos(pose.angle)), abs(math.sin(pose.angle))
    return pose.zoom * (cosine * rows + sine * columns), pose.zoom * (
        sine * rows + cosine * columns
    )


def _places(
    pose: Pose, centre: tuple[float, float], size: tuple[int, int]
) -> tuple[Float[Tensor, "rows columns"], Float[Tensor, "rows columns"]]:
    rows = torch.arange(size[0], dtype=torch.float64)[:, None] - (size[0] - 1) / 2
    columns = torch.arange(size[1], dtype=torch.float64) - (size[1] - 1) / 2
    cosine, sine = pose.zoom * math.cos(pose.angle), pose.zoom * math.sin(pose.angle)
    return (
        centre[0] + pose.down + cosine * rows - sine * columns,
        centre[1] + pose.right + sine * rows + cosine * columns,
    )


def _channels(sensor: Sensor, size: tuple[int, int]) -> Int[Tensor, "rows columns"]:
    """0, 1 or 2 at each pixel for R, G, B."""
    cell = torch.empty(2, 2, dtype=torch.int64)
    for colour, (row, column) in zip((0, 1, 2, 1), plane_offsets(sensor.pattern), strict=True):
        cell[row, column] = colour
    return cell.repeat(size[0] // 2, size[1] // 2)
