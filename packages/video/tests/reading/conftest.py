"""Toy films, encoded on the spot, whose frames say their number."""

from fractions import Fraction

import av
import numpy as np
import pytest

HEIGHT, WIDTH, BITS = 64, 96, 8


def numbered(number, shape=(HEIGHT, WIDTH)):
    """A frame that moves and in whose upper half the number stands in black and white bars."""
    rows, columns = np.indices(shape)
    frame = np.stack([rows * 3 + 5 * number, columns * 2 - 7 * number, rows + columns], -1) % 256
    bar = shape[1] // BITS
    for bit in range(BITS):
        frame[: shape[0] // 2, bit * bar : (bit + 1) * bar] = 255 * (number >> bit & 1)
    return frame.astype(np.uint8)


def number_of(picture):
    """What stands in a frame (3, height, width)."""
    bar = picture.shape[-1] // BITS
    inside = picture[:, 4 : picture.shape[1] // 2 - 4]
    bars = [inside[..., bit * bar + 3 : (bit + 1) * bar - 3].mean() for bit in range(BITS)]
    return sum(1 << bit for bit, level in enumerate(bars) if level > 128)


def write_film(
    path,
    codec="libx264",
    *,
    count=60,
    shape=(HEIGHT, WIDTH),
    rate=25,
    gop=12,
    options=(),
    container_options=(),
    pix_fmt="yuv420p",
    stamps=None,
    title="",
    prepare=lambda stream: None,
):
    """Encode numbered frames; `stamps` are their times in 1/1000 s where they are uneven."""
    with av.open(str(path), "w", options=dict(container_options)) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=rate, options=dict(options))
        stream.height, stream.width = shape
        stream.pix_fmt, stream.codec_context.gop_size = pix_fmt, gop
        stream.codec_context.thread_count = 1
        prepare(stream)
        if stamps is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered(number, shape), format="rgb24")
            if pix_fmt in ("rgb8", "pal8"):
                frame = frame.reformat(format=pix_fmt)
            if stamps is not None:
                frame.pts, frame.time_base = stamps[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def decode_all(path):
    """Every frame in order, the plain way: (frames, 3, height, width)."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames).transpose(0, 3, 1, 2)


def write_sound(path, codec="aac", *, cover=False):
    """A second of a tone, with or without the cover of a song."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=44100)
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.height, picture.width, picture.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
        tone = np.sin(np.arange(44100) / 20)[None].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 44100
        if cover:
            art = av.VideoFrame.from_ndarray(numbered(1), format="rgb24")
            container.mux(picture.encode(art))
            container.mux(picture.encode())
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class Films:
    """What tests make films with, and what they compare with."""

    numbered = staticmethod(numbered)
    number_of = staticmethod(number_of)
    write = staticmethod(write_film)
    write_sound = staticmethod(write_sound)
    decode_all = staticmethod(decode_all)


@pytest.fixture(scope="session")
def films():
    return Films
