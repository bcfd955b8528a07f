"""Photographs to raw clips: each step against what it must undo or equal."""

import itertools
import math

import av
import numpy as np
import pytest
import torch
from PIL import Image

from graftwork.core import GraftworkError
from graftwork.data.raw.camera_path import Motion, Pose, camera_path
from graftwork.data.raw.footage import FilmFile, Pictures
from graftwork.data.raw.mosaicking import UnprocessedClip, mosaic_of
from graftwork.data.raw.photographs import PHOTOGRAPHS, load_photograph, photograph, photographs
from graftwork.data.raw.resampling import sample
from graftwork.data.raw.synthetic import SyntheticClip
from graftwork.data.raw.unprocessing import inverse_smoothstep, unprocess
from graftwork.raw.cfa import PATTERNS
from graftwork.raw.content import Content
from graftwork.raw.estimation import estimate_noise
from graftwork.raw.isp import render, smoothstep
from graftwork.raw.levels import normalise
from graftwork.raw.mosaic import pack
from graftwork.raw.pair import noised
from graftwork.raw.sensor_file import load_sensor

CRVD = load_sensor("crvd")


def smooth_picture(side=64):
    """Soft colours without edges, dark and bright parts."""
    rows, columns = torch.meshgrid(*[torch.linspace(0, 1, side)] * 2, indexing="ij")
    planes = (0.1 + 0.8 * rows, 0.9 - 0.7 * columns, 0.5 + 0.4 * torch.sin(3 * rows * columns))
    return torch.stack(planes)


def test_photographs_are_split_by_picture():
    assert {each.name for each in photographs("test")} == {"china", "flower", "coffee"}
    assert len({each.name for each in PHOTOGRAPHS}) == len(PHOTOGRAPHS) == 10
    assert len({each.file for each in PHOTOGRAPHS}) == 10
    assert all(each.licence for each in PHOTOGRAPHS)


@pytest.mark.parametrize("name", [each.name for each in PHOTOGRAPHS])
def test_every_photograph_is_there(name):
    found = load_photograph(name)
    assert min(found.shape[1:]) >= 300
    assert 0 <= found.min() < found.max() <= 1


def test_unknown_and_missing_photographs(monkeypatch):
    with pytest.raises(GraftworkError, match="did you mean 'coffee'"):
        photograph("cofee")
    monkeypatch.setattr("graftwork.data.raw.photographs.find_spec", lambda name: None)
    with pytest.raises(GraftworkError, match=r"pip install 'graftwork-data\[raw\]'"):
        load_photograph("coffee")


def test_the_tone_curve_is_undone():
    x = torch.linspace(0, 1, 101, dtype=torch.float64)
    assert torch.allclose(inverse_smoothstep(smoothstep(x)), x, atol=1e-7)


def test_white_and_black_stay():
    for level in (0.0, 1.0):
        light = unprocess(torch.full((3, 2, 2), level, dtype=torch.float64))
        assert torch.allclose(light, torch.full_like(light, level), atol=1e-9)


def test_grey_becomes_the_colour_that_white_balance_makes_grey():
    light = unprocess(torch.full((3, 1, 1), 0.4, dtype=torch.float64)).flatten()
    # Rows of the matrix sum to 1, so grey stays grey but for the gains.
    assert light[0] / light[1] == pytest.approx(0.5527)
    assert light[2] / light[1] == pytest.approx(0.4844)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_isp_undoes_unprocessing(pattern):
    import dataclasses

    picture = smooth_picture(128).double()
    sensor = dataclasses.replace(CRVD, pattern=pattern)
    mosaic = mosaic_of(unprocess(picture), sensor)
    found = render(normalise(pack(mosaic, pattern), sensor, negatives="keep"), pattern)
    error = (found - picture).abs()[..., 2:-2, 2:-2]
    # Demosaicing of a smooth picture is all that is left; colours that the camera cannot
    # hold (clipped by the matrix) are few.
    assert error.mean() < 0.002
    assert error.quantile(0.99) < 0.01


def test_sampling_at_pixels_gives_the_pixels():
    image = torch.rand(3, 16, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    down, right = torch.meshgrid(
        torch.arange(4.0).double() + 5, torch.arange(6.0).double() + 4, indexing="ij"
    )
    channel = torch.full((4, 6), 2)
    found = sample(image, channel=channel, down=down, right=right)
    assert torch.allclose(found, image[2, 5:9, 4:10])


def test_sampling_between_pixels_is_lanczos():
    chance = np.random.default_rng(0)
    image = chance.random((12, 12))
    down, right = 5.3, 6.8

    def weights(position):
        taps = np.arange(math.floor(position) - 2, math.floor(position) + 4)
        values = np.sinc(position - taps) * np.sinc((position - taps) / 3)
        return taps, values / values.sum()

    (rows, vertical), (columns, horizontal) = weights(down), weights(right)
    expected = vertical @ image[np.ix_(rows, columns)] @ horizontal
    found = sample(
        torch.from_numpy(image)[None],
        channel=torch.zeros(1, 1, dtype=torch.int64),
        down=torch.tensor([[down]], dtype=torch.float64),
        right=torch.tensor([[right]], dtype=torch.float64),
    )
    assert float(found) == pytest.approx(expected)


def test_a_path_is_smooth_and_within_its_bounds():
    for seed in range(20):
        path = camera_path(60, seed=seed)
        steps = [
            (after.down - before.down, after.right - before.right)
            for before, after in itertools.pairwise(path)
        ]
        lengths = [math.hypot(*step) for step in steps]
        assert min(lengths) >= 1 - 1e-9
        assert max(lengths) <= 4 + 1e-9
        jerks = [math.hypot(b[0] - a[0], b[1] - a[1]) for a, b in itertools.pairwise(steps)]
        assert max(jerks) < 2.0
        for before, after in itertools.pairwise(path):
            assert abs(after.angle - before.angle) <= math.radians(0.15) + 1e-12
            assert abs(after.zoom / before.zoom - 1) <= 0.0015 + 1e-12


def test_a_path_is_its_seeds():
    assert camera_path(9, seed=3)[:5] == camera_path(5, seed=3)
    assert camera_path(5, seed=3) != camera_path(5, seed=4)
    assert camera_path(1, seed=0) == (Pose(0.0, 0.0, 0.0, 1.0),)
    with pytest.raises(ValueError, match="fastest: is below slowest"):
        Motion(slowest=3.0, fastest=2.0)


def clip(scene, path, *, size=(16, 24), exposure=0.5, sensor=CRVD, **options):
    return SyntheticClip(
        scene, path=path, size=size, sensor=sensor, exposure=exposure, name="scene", **options
    )


def test_moving_by_whole_pixels_moves_the_mosaic():
    scene = unprocess(load_photograph("coffee"))
    still, moved = Pose(0.0, 0.0, 0.0, 1.0), Pose(4.0, -6.0, 0.0, 1.0)
    found = clip(scene, (still, moved), size=(64, 64)).frames(0, 2)
    assert torch.allclose(found[1, :-4, 6:], found[0, 4:, :-6], atol=0.05)


def test_a_frame_is_the_mosaic_of_the_scene_at_that_exposure():
    scene = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    # 40 - 16 rows are even, so the middle lies between pixels as the frame's does.
    found = clip(scene, (Pose(0.0, 0.0, 0.0, 1.0),), exposure=0.5).frame(0)
    expected = mosaic_of(0.5 * scene[:, 12:28, 13:37], CRVD)
    assert torch.allclose(found, expected, atol=1e-2)


def test_turn_and_zoom_follow_the_matrix():
    # A slope is read nearly exactly wherever a pose looks: Lanczos ripples by 3 % of a step.
    rows, columns = torch.meshgrid(torch.arange(60.0), torch.arange(70.0), indexing="ij")
    scene = (0.2 + 0.004 * rows + 0.003 * columns).expand(3, -1, -1)
    pose = Pose(1.25, -0.75, math.radians(5), 1.02)
    found = clip(scene, (pose,), exposure=1.0).frame(0)
    light = (found - 240) / 3855
    down, right = torch.meshgrid(torch.arange(16.0) - 7.5, torch.arange(24.0) - 11.5, indexing="ij")
    turned = torch.tensor(
        [
            [math.cos(pose.angle), -math.sin(pose.angle)],
            [math.sin(pose.angle), math.cos(pose.angle)],
        ]
    )
    grid = pose.zoom * torch.einsum("ij,jhw->ihw", turned, torch.stack((down, right)))
    relative = 0.004 * grid[0] + 0.003 * grid[1]
    assert torch.allclose(light - light.mean(), relative - relative.mean(), atol=3e-4)


def test_synthetic_clips_are_clean_and_lazy_truth():
    scene = unprocess(load_photograph("chelsea"))
    found = clip(scene, camera_path(7, seed=0), size=(128, 128), exposure=0.4)
    assert found.content is Content.CLEAN
    frame = found.frame(3)
    assert frame.min() >= 240
    assert frame.max() <= 240 + 0.4 * 3855
    assert not torch.equal(frame, frame.round())  # the truth is not rounded
    pair = noised(found, 3200, seed=0)
    assert torch.equal(pair.truth.frame(3), frame)


@pytest.mark.parametrize(("iso", "expected"), [(1600, 41.28), (6400, 35.44), (25600, 29.31)])
def test_noisy_clips_have_the_measured_psnr(iso, expected):
    # The specification of the method measured these means over the three test scenes, at
    # exposure 0.4 and 256x256; crops and paths differ, so half a decibel is left to them.
    found = []
    for each in photographs("test"):
        scene = unprocess(load_photograph(each.name))
        pair = noised(
            clip(scene, camera_path(1, seed=1), size=(256, 256), exposure=0.4), iso, seed=0
        )
        noisy, truth = (
            normalise(pack(one.frame(0), "GBRG"), CRVD, negatives="keep")
            for one in (pair.noisy, pair.truth)
        )
        found.append(-10 * math.log10(float((noisy - truth).square().mean())))
    assert sum(found) / 3 == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("name", ["china", "flower", "coffee"])
def test_a_moving_photograph_tells_its_noise(name):
    # What `estimate_noise` promises of photographs.
    scene = unprocess(load_photograph(name))
    truth = clip(scene, camera_path(7, seed=1), size=(256, 256), exposure=0.6)
    pair = noised(truth, 6400, seed=5)
    assert estimate_noise(pair.noisy).noise.a == pytest.approx(CRVD.noise(6400).a, rel=0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (60, 24)}, "needs 8 more rows than the photograph has"),
        ({"size": (16, 80)}, "more columns than the photograph has"),
        ({"size": (15, 24)}, "is 15 rows by 24 columns"),
        ({"exposure": 0.0}, "exposure 0 is not above 0"),
        ({"path": ()}, "a path of no frames"),
    ],
)
def test_clips_that_cannot_be_are_refused(options, message):
    scene = torch.zeros(3, 58, 70)
    with pytest.raises(GraftworkError, match=message):
        clip(scene, options.pop("path", (Pose(0.0, 0.0, 0.0, 1.0),)), **options)


def test_ordinary_video_becomes_clean_raw(tmp_path):
    picture = (smooth_picture(33) * 255).round().byte().permute(1, 2, 0).numpy()
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for path in paths:
        Image.fromarray(picture).save(path)
    found = UnprocessedClip(Pictures(paths, name="video"), CRVD, exposure=0.5)
    assert (len(found), found.size, found.content) == (2, (32, 32), Content.CLEAN)
    light = unprocess(torch.from_numpy(picture).permute(2, 0, 1).float() / 255)
    assert torch.allclose(found.frame(1), mosaic_of(0.5 * light[:, :32, :32], CRVD))
    Image.fromarray(picture[:20]).save(paths[1])
    with pytest.raises(GraftworkError, match="all of a clip must have one size"):
        found.frame(1)
    with pytest.raises(GraftworkError, match="video: holds no picture"):
        Pictures([], name="video")


def test_a_film_becomes_what_its_frames_do(tmp_path):
    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 34, 32, "yuv420p"
        for number in range(19):
            shade = np.full((32, 34, 3), 10 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shade)))
        container.mux(stream.encode())
    film = FilmFile(path)
    assert (len(film), film.size, film.paths) == (19, (32, 34), (path,))
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    clip = UnprocessedClip(film, CRVD, exposure=0.5)
    for index in (18, 0, 7, 8):
        picture = torch.from_numpy(frames[index]).permute(2, 0, 1).float() / 255
        assert torch.allclose(film.picture(index), picture)
        assert torch.allclose(clip.frame(index), mosaic_of(0.5 * unprocess(picture), CRVD))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(GraftworkError, match=r"film\.mp4"):
        FilmFile(path)
