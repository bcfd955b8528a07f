"""Eight frames of a long film: by keyframes, and by decoding all of it.

    python benchmarks/clip_reading.py [frames=3000] [rounds=5]

A film of 320 x 180 pixels, two minutes long, is encoded with each codec, with a keyframe every 250
frames at least (every 12 for MPEG-4). Both ways give the same eight frames, first and last
included, and use one thread; only wanted frames become RGB. By keyframes includes the look at all
packets that counts the frames, which is also given alone. Times are CPU time, ratios medians over
interleaved rounds. The files are in memory by then: what a disk takes to read is not in here.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from graftwork.video.reading.film import read_frames
from graftwork.video.reading.film_info import probe
from graftwork.video.reading.sampling import even_indices
from measure import interleaved, ratios

SIZE = (180, 320)
CODECS = {
    "H.264": ("libx264", "film.mp4", {"preset": "veryfast", "g": "250"}),
    "MPEG-4": ("mpeg4", "film.avi", {"q": "5", "g": "12"}),
    "VP9": ("libvpx-vp9", "film.webm", {"cpu-used": "8", "deadline": "realtime", "g": "250"}),
}


def encode(path: Path, codec: str, options: dict[str, str], frames: int) -> Path:
    """A camera that pans over a still picture, with a little noise."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 128, (40, 80, 3), dtype=np.uint8)
    scene = coarse.repeat(8, 0).repeat(8, 1)
    noise = generator.integers(0, 16, (16, *SIZE, 1), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 500_000
        for number in range(frames):
            top, left = number % 140, number * 3 % 320
            view = scene[top : top + SIZE[0], left : left + SIZE[1]]
            noisy = view + noise[number % len(noise)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(stream.encode())
    return path


def decode_all(path: Path, wanted: list[int]) -> np.ndarray:
    """The plain way: all frames are decoded, and the wanted ones kept."""
    kept = {}
    with av.open(str(path)) as container:
        container.streams.video[0].thread_count = 1
        for index, frame in enumerate(container.decode(video=0)):
            if index in wanted:
                kept[index] = frame.to_ndarray(format="rgb24")
    return np.stack([kept[index] for index in wanted]).transpose(0, 3, 1, 2)


def compare(name: str, folder: Path, frames: int, rounds: int) -> None:
    codec, file, options = CODECS[name]
    path = encode(folder / file, codec, options, frames)
    wanted = even_indices(frames, 8).tolist()
    assert np.array_equal(read_frames(path, wanted), decode_all(path, wanted))
    variants: dict[str, Callable[[], object]] = {
        "decoding all": lambda: decode_all(path, wanted),
        "by keyframes": lambda: read_frames(path, wanted, threads=1),
        "counting alone": lambda: probe(path),
    }
    times = interleaved(variants, rounds)
    ratio = ratios(times, "decoding all")
    print(f"{name}, {frames} frames, {len(probe(path).keyframes)} keyframes, "
          f"{path.stat().st_size / 2**20:.1f} MiB")  # fmt: skip
    for variant, seconds in times.items():
        print(f"  {variant:14} {1e3 * statistics.median(seconds):8.1f} ms {ratio[variant]:7.3f}")


def main() -> None:
    given = dict(argument.split("=") for argument in sys.argv[1:])
    frames, rounds = int(given.get("frames", 3000)), int(given.get("rounds", 5))
    with tempfile.TemporaryDirectory() as folder:
        for name in CODECS:
            compare(name, Path(folder), frames, rounds)


if __name__ == "__main__":
    main()
