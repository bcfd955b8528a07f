"""Frames of films, exactly, by the shortest way."""

from fractions import Fraction

import av
import numpy as np
import pytest

from graftwork.core import GraftworkError
from graftwork.video.reading.film import read_frames, runs
from graftwork.video.reading.film_info import probe
from graftwork.video.reading.opening import OpenFilm

X264 = {"bf": "3", "b_strategy": "0", "x264-params": "b-pyramid=normal:scenecut=0"}
X265 = "log-level=none:keyint=12:min-keyint=12:bframes=3:scenecut=0:pools=1:frame-threads=1"
KINDS = {
    "h264.mp4": ("libx264", {"options": X264}),
    "h264.mkv": ("libx264", {"options": X264}),
    "h264.ts": ("libx264", {"options": X264}),
    "open-gop.mp4": ("libx264", {"options": {"x264-params": "open-gop=1:bframes=3:scenecut=0"}}),
    "refresh.mp4": ("libx264", {"options": {"x264-params": "intra-refresh=1:bframes=0"}}),
    "hevc.mp4": ("libx265", {"options": {"x265-params": f"{X265}:open-gop=1"}}),
    "mjpeg.mov": ("mjpeg", {"pix_fmt": "yuvj420p"}),
    "mpeg4.mp4": ("mpeg4", {"options": {"bf": "2"}}),
    "mpeg4.avi": ("mpeg4", {}),
    "mpeg4-b.avi": ("mpeg4", {"options": {"bf": "2"}}),
    "vp9.webm": ("libvpx-vp9", {"options": {"cpu-used": "8", "deadline": "realtime"}}),
    "vp8.webm": ("libvpx", {"options": {"auto-alt-ref": "1", "lag-in-frames": "16"}}),
    "av1.mp4": ("libsvtav1", {"options": {"preset": "12"}}),
    "loop.gif": ("gif", {"pix_fmt": "rgb8", "rate": 20}),
}


@pytest.fixture(scope="module")
def made(films, tmp_path_factory):
    """Make a film of a kind once: its path, and all its frames."""
    folder, known = tmp_path_factory.mktemp("films"), {}

    def make(name):
        if name not in known:
            codec, more = KINDS[name]
            path = films.write(folder / name, codec, **more)
            known[name] = path, films.decode_all(path)
        return known[name]

    return make


@pytest.mark.parametrize("name", KINDS)
def test_probing_counts_what_decoding_gives(made, name):
    path, everything = made(name)
    info = probe(path)
    assert info.size == everything.shape[-2:]
    assert info.times[0] == 0
    if name != "vp8.webm":  # which has packets that show nothing
        assert info.count == len(everything) == 60
        period = 1 / 20 if name == "loop.gif" else 1 / 25
        assert np.allclose(info.times, np.arange(60) * period, atol=1e-3)


@pytest.mark.parametrize("threads", [0, 1])
@pytest.mark.parametrize("name", [name for name in KINDS if name != "vp8.webm"])
def test_frames_are_those_of_decoding_everything(films, made, name, threads):
    path, everything = made(name)
    for wanted in ([0, 8, 16, 25, 33, 42, 50, 59], [59], [11, 12, 13], [40, 3, 40, 23]):
        frames = read_frames(path, wanted, threads=threads)
        assert np.array_equal(frames, everything[wanted])
        if name != "loop.gif":
            assert [films.number_of(frame) for frame in frames] == wanted


@pytest.mark.parametrize("name", KINDS)
def test_any_single_frame(made, name):
    path, everything = made(name)
    info = probe(path)
    for index in range(0, info.count, 7):
        frame = read_frames(path, [index], info=info)[0]
        assert (frame == everything).reshape(len(everything), -1).all(1).any()
        if info.count == len(everything):
            assert np.array_equal(frame, everything[index])


def test_packets_that_show_nothing_repeat_what_is_shown(films, made):
    path, _ = made("vp8.webm")
    info = probe(path)
    numbers = [films.number_of(each) for each in read_frames(path, range(info.count), info=info)]
    assert sorted(set(numbers)) == list(range(60))
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "name", ["h264.mp4", "h264.mkv", "hevc.mp4", "mpeg4.mp4", "vp9.webm", "av1.mp4"]
)
def test_seeking_spares_decoding(made, monkeypatch, name):
    path, everything = made(name)
    seen = []
    plain = OpenFilm.frames
    monkeypatch.setattr(
        OpenFilm, "frames", lambda film: (seen.append(frame.pts) or frame for frame in plain(film))
    )
    info = probe(path)
    assert not seen
    assert np.array_equal(read_frames(path, [0, 50], info=info, threads=1), everything[[0, 50]])
    assert len(seen) < 16


def test_runs_jump_only_where_it_is_worth_it():
    keyframes = np.array([0, 12, 24, 36, 48])
    assert runs([0, 59], keyframes) == [(0, [0]), (4, [59])]
    assert runs([11, 12, 13], keyframes) == [(0, [11, 12, 13])]
    assert runs([3, 26, 27, 47], keyframes) == [(0, [3]), (2, [26, 27]), (3, [47])]
    assert runs([55], keyframes) == [(4, [55])]
    assert runs([7], np.array([0, 6])) == [(0, [7])]
    assert runs([], keyframes) == []


def test_uneven_times(films, tmp_path):
    stamps = [0, 40, 90, 400, 410, 1000, 1500, 1510, 1900, 3000]
    path = films.write(tmp_path / "film.mkv", count=10, stamps=stamps, rate=25)
    info = probe(path)
    assert info.times.tolist() == [stamp / 1000 for stamp in stamps]
    assert np.array_equal(read_frames(path, [3, 9]), films.decode_all(path)[[3, 9]])


def test_into_an_array_that_is_there(films, made):
    path, everything = made("h264.mp4")
    out = np.zeros((2, 3, *everything.shape[-2:]), dtype=np.uint8)
    assert read_frames(path, [5, 30], out=out) is out
    assert np.array_equal(out, everything[[5, 30]])


def test_frames_that_are_not_there(made):
    path, _ = made("h264.mp4")
    for wanted in ([60], [-1]):
        with pytest.raises(GraftworkError, match="has 60 frames"):
            read_frames(path, wanted)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_turned_as_phones_do(films, tmp_path, degrees, mirrored):
    def turn(stream):
        stream.set_display_rotation(degrees, hflip=mirrored)

    path = films.write(tmp_path / "film.mp4", count=4, prepare=turn)
    stored = films.decode_all(path)
    upright = np.rot90(stored, degrees // 90, axes=(2, 3))  # counter-clockwise, as the matrix
    if mirrored:
        upright = upright[..., ::-1]
    frames = read_frames(path, [0, 3])
    assert probe(path).size == upright.shape[-2:]
    assert np.array_equal(frames, upright[[0, 3]])


def test_other_turns_are_refused(films, tmp_path):
    path = films.write(
        tmp_path / "film.mp4", count=2, prepare=lambda stream: stream.set_display_rotation(30)
    )
    with pytest.raises(GraftworkError, match=r"turned by -?30 degrees; only quarter turns"):
        probe(path)


def remux(source, target, *, first=0, shift=0, **options):
    """Copy packets from number `first` on, shown `shift` ticks earlier."""
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for number, packet in enumerate(old.demux(video=0)):
            if number >= first and packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                new.mux(packet)
    return target


def test_what_an_edit_list_hides_is_left_out(films, made, tmp_path):
    path, everything = made("h264.mp4")
    with av.open(str(path)) as container:
        tick = Fraction(1, 25) / container.streams.video[0].time_base
    cut = remux(path, tmp_path / "cut.mp4", shift=int(20 * tick), avoid_negative_ts="disabled")
    shown = films.decode_all(cut)
    assert np.array_equal(shown, everything[20:])
    info = probe(cut)
    assert info.count == 40
    assert np.array_equal(read_frames(cut, [0, 3, 20, 39], info=info), shown[[0, 3, 20, 39]])


def test_a_recording_that_begins_between_keyframes(films, made, tmp_path):
    path, everything = made("h264.ts")
    cut = remux(path, tmp_path / "cut.ts", first=5)
    info = probe(cut)
    assert info.count == 48
    assert np.array_equal(read_frames(cut, range(48), info=info), everything[12:])


def test_a_title_in_an_old_encoding(films, tmp_path):
    path = films.write(tmp_path / "film.avi", "mpeg4", count=3, title="caf\xe9")
    data = path.read_bytes()
    assert b"caf\xc3\xa9" in data
    path.write_bytes(data.replace(b"caf\xc3\xa9", b"caf\xe9\x20"))
    assert probe(path).count == 3


def test_a_film_that_changes_its_size_keeps_its_first(films, tmp_path):
    pieces = [films.write(tmp_path / "a.ts", count=6)]
    pieces.append(films.write(tmp_path / "b.ts", count=12, shape=(32, 48)))
    with av.open(str(pieces[1])) as second:
        late = [packet for packet in second.demux(video=0) if packet.size]
    whole = tmp_path / "both.ts"
    with av.open(str(pieces[0])) as old, av.open(str(whole), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in [p for p in old.demux(video=0) if p.size] + late:
            if packet in late:
                packet.pts, packet.dts = packet.pts + 90000, packet.dts + 90000
            packet.stream = stream
            new.mux(packet)
    info = probe(whole)
    assert (info.count, info.size) == (18, (64, 96))
    frames = read_frames(whole, range(18), info=info)
    assert [films.number_of(frame) for frame in frames] == [*range(6), *range(12)]


def test_colours_are_those_that_the_film_names(films, tmp_path):
    """BT.709 and BT.601 disagree by some twenty levels on a saturated green."""
    green = np.zeros((64, 96, 3), dtype=np.uint8) + np.array([20, 200, 40], dtype=np.uint8)
    for name, space in (("709", 1), ("601", 5)):
        path = tmp_path / f"{name}.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
            stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
            stream.codec_context.colorspace = space
            frame = av.VideoFrame.from_ndarray(green, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=f"ITU{name}")
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        seen = read_frames(path, [0])[0].transpose(1, 2, 0).astype(int)
        assert np.abs(seen - green).max() <= 4
