"""Every bad file is one clear line."""

import av
import numpy as np
import pytest

from graftwork.core import GraftworkError
from graftwork.video.reading.film import read_frames
from graftwork.video.reading.film_info import probe


def refused(path, call=probe):
    """The complaint about a file: one line that begins with its name."""
    with pytest.raises(GraftworkError) as caught:
        call(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    assert "; " in line  # the remedy
    return line.removeprefix(f"{path}: ")


def test_a_missing_file(tmp_path):
    assert refused(tmp_path / "film.mp4").startswith("no such file")
    assert refused(tmp_path / "no" / "film.mp4").startswith("no such file")


def test_a_folder(tmp_path):
    assert refused(tmp_path).startswith("is a folder")


def test_an_empty_file(tmp_path):
    path = tmp_path / "film.mp4"
    path.touch()
    assert refused(path).startswith("the file is empty")


@pytest.mark.parametrize(
    "text",
    [
        "Not found\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile http://127.0.0.1:9/a.mp4\n",
    ],
)
def test_text_and_playlists(tmp_path, text):
    path = tmp_path / "film.mp4"
    path.write_text(text * 1)
    refused(path)


def test_a_name_that_looks_like_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "http:"
    path.mkdir()
    refused(path / "a.mp4")


def test_an_mp4_without_its_index(films, tmp_path):
    path = films.write(tmp_path / "film.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "without its index (moov)" in refused(path)


@pytest.mark.parametrize("kept", [0.4, 0.7, 0.999])
def test_an_mp4_that_is_cut_off_inside(films, tmp_path, kept):
    path = films.write(
        tmp_path / "film.mp4", container_options={"movflags": "faststart"}, options={"crf": "5"}
    )
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert refused(path).startswith("cut off: ")


def test_a_webm_that_is_cut_off_ends_there(films, tmp_path):
    path = films.write(tmp_path / "film.webm", "libvpx-vp9", options={"cpu-used": "8"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    info = probe(path)
    assert 10 < info.count < 50
    frames = read_frames(path, range(info.count - 1), info=info)
    assert [films.number_of(frame) for frame in frames] == list(range(info.count - 1))


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_sound_alone(films, tmp_path, name):
    assert "sound and no pictures" in refused(films.write_sound(tmp_path / name))


def test_a_song_with_a_cover(films, tmp_path):
    path = films.write_sound(tmp_path / "song.mp4", cover=True)
    with av.open(str(path)) as container:
        assert len(container.streams.video) == 1
    assert "sound and no pictures" in refused(path)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv"])
def test_no_frames(tmp_path, name):
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        container.start_encoding()
    refused(path)


def damage(path, packet_number):
    """Overwrite a packet's data."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        place, size = packets[packet_number].pos, packets[packet_number].size
    data = bytearray(path.read_bytes())
    data[place : place + size] = b"\xff" * size
    path.write_bytes(data)


def test_damage_costs_the_frames_that_need_it(films, tmp_path):
    path = films.write(tmp_path / "film.mp4", options={"bf": "0", "x264-params": "scenecut=0"})
    whole = films.decode_all(path)
    damage(path, 24)  # a keyframe; the next is 36
    info = probe(path)
    assert info.count == 60
    assert np.array_equal(read_frames(path, [0, 23, 36, 59], info=info), whole[[0, 23, 36, 59]])
    for index in (24, 30, 35):
        line = refused(path, lambda path, index=index: read_frames(path, [index], info=info))
        assert line.startswith(f"frame {index + 1} of 60 cannot be decoded")


def test_a_file_that_may_not_be_read(films, tmp_path):
    path = films.write(tmp_path / "film.mp4", count=2)
    path.chmod(0)
    try:
        path.read_bytes()
    except PermissionError:
        assert "permissions" in refused(path)
    else:
        pytest.skip("whoever runs this may read everything")
    finally:
        path.chmod(0o600)
