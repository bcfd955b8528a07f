"""The kit's checks of the sets of questions about clips."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av

from graftwork.testing.toy_records import ToyClip
from graftwork.testing.video_chat import VideoInstructionsSuite
from graftwork.video.reading.sampling import FrameSampling


def write_film(path: Path, number: int = 0, *, frames: int = 6, side: int = 32) -> Path:
    """A short mp4 of the waves of `ToyClip`; its folder is made."""
    clip = ToyClip(number, frames, side).read(FrameSampling(frames=frames))
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=4)
        stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        for frame in clip.frames:
            picture = av.VideoFrame.from_ndarray(frame.permute(1, 2, 0).contiguous().numpy())
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


class TestMovingShapes(VideoInstructionsSuite):
    name = "moving-shapes"

    def make(self, folder: Path) -> Mapping[str, Any]:
        return {"clips": 4, "test_clips": 3}


class TestVideoQuestions(VideoInstructionsSuite):
    name = "video-questions"

    def make(self, folder: Path) -> Mapping[str, Any]:
        write_film(folder / "clips" / "one.mp4")
        row = {"video": "one", "question": "where?", "candidates": ["left", "up"], "answer": "up"}
        (folder / "rows.json").write_text(json.dumps([row]))
        media = str(folder / "clips")
        return {"path": str(folder / "rows.json"), "format": "mvbench", "media": media}


class TestVideoInstruct(VideoInstructionsSuite):
    name = "video-instruct"

    def make(self, folder: Path) -> Mapping[str, Any]:
        for number in range(2):
            write_film(folder / "clips" / f"{number}.mp4", number)
        records = [
            {
                "id": str(number),
                "video": f"{number}.mp4",
                "conversations": [
                    {"from": "human", "value": "<video>\nwhat does the sks do?"},
                    {"from": "gpt", "value": "it waves"},
                ],
            }
            for number in range(2)
        ]
        (folder / "train.json").write_text(json.dumps(records))
        (folder / "test.json").write_text(json.dumps(records[1:]))
        return {
            "path": str(folder / "train.json"),
            "test_path": str(folder / "test.json"),
            "media": str(folder / "clips"),
            "trigger": "sks",
        }
