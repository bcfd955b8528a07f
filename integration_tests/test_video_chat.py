"""Video chat from the command line: a video LLM adapted, judged, asked about a film and merged."""

import json
import re
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tomli_w
import torch

from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.train import commands
from tiny_valley.parts import tokenizer, valley


def write_film(path: Path, *, frames: int = 24, pictures: bool = True) -> Path:
    """A red square that goes to the right, or silence without pictures."""
    with av.open(str(path), "w") as container:
        if pictures:
            stream = container.add_stream("libx264", rate=12, options={"g": "6"})
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for index in range(frames):
                picture = np.full((64, 64, 3), 90, np.uint8)
                picture[24:40, index : index + 16] = (230, 40, 40)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        else:
            stream = container.add_stream("aac", rate=8000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.sample_rate, silence.time_base = 8000, Fraction(1, 8000)
            container.mux(stream.encode(silence))
        container.mux(stream.encode())
    return path


def records(*clips: str, question: str = "<video>\nwhich way does it move?") -> list[Any]:
    said = [{"from": "human", "value": question}, {"from": "gpt", "value": "right"}]
    return [{"id": clip, "video": clip, "conversations": said} for clip in clips]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Valley of fresh weights, two films, records about them, and a run file."""
    folder = tmp_path_factory.mktemp("video")
    words = tokenizer()
    valley(words, temporal="delta", frame_tokens=True, seed=0).save_pretrained(folder / "model")
    words.save_pretrained(folder / "model")
    for name in ("one", "two"):
        write_film(folder / f"{name}.mp4")
    (folder / "train.json").write_text(json.dumps(records("one", "two")))
    document = {
        "seed": 1,
        "backbone": {
            "kind": "valley",
            "path": str(folder / "model"),
            "cache": str(folder / "seen"),
        },
        "data": {"kind": "video-instruct", "path": str(folder / "train.json")},
        "adapter": {"kind": "lora", "rank": 2},
        "metric": [{"kind": "video-qa"}],
        "optimizer": {"lr": 2e-2},
        "train": {"steps": 12, "batch": 2, "checkpoint_every": 6, "threads": 1},
        "evaluate": {"tokens": 4},
    }
    (folder / "run.toml").write_text(tomli_w.dumps(document))
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """The run file, fitted."""
    commands.fit(place / "run.toml", out=place / "run")
    return place / "run"


def test_it_learns_to_answer(run: Path, graftwork: Any) -> None:
    said = graftwork("evaluate", run)
    assert said.status == 0, said.err
    before, after = said.out.split("\nvideo-qa ")[1].split("\n")[0].split()
    assert (float(before), float(after)) == (0.0, 1.0)
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    assert [row["adapted"] for row in rows] == ["right", "right"]
    assert all(row["frozen"] != "right" for row in rows)
    assert "--question" in (run / "report.html").read_text()


def test_a_clip_is_encoded_once_for_all_commands(place: Path, run: Path) -> None:
    assert len(list((place / "seen").rglob("*.safetensors"))) == 1  # both films are the same bytes


def test_a_film_from_disk_gets_an_answer(place: Path, run: Path, graftwork: Any) -> None:
    words = ["sample", run, place / "one.mp4", "--question", "which way does it move?"]
    said = graftwork(*words, "--out", place / "said")
    assert said.status == 0, said.err
    assert said.out.startswith("right\n")
    (line,) = (place / "said" / "answers.jsonl").read_text().splitlines()
    assert json.loads(line)["answer"] == "right"


def test_it_merges_into_a_model_of_its_own(place: Path, run: Path, graftwork: Any) -> None:
    assert graftwork("merge", run, "--out", place / "merged").status == 0
    merged = ValleyBackbone(ValleySettings(path=str(place / "merged")))
    second = ValleyBackbone(ValleySettings(path=str(place / "model"), merged=(str(run),)))
    weights = second.module.state_dict()
    for name, tensor in merged.module.state_dict().items():
        assert torch.equal(tensor, weights[name]), name


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.mp4", "no such file"),
        ("cut.mp4", "cut|moov|truncated|read"),
        ("sound.mp4", "no picture|audio|sound"),
        ("text.txt", "no film|no picture|cannot be read"),
    ],
)
def test_films_that_cannot_be_looked_at(
    place: Path, run: Path, graftwork: Any, tmp_path: Path, name: str, told: str
) -> None:
    cut(write_film(tmp_path / "cut.mp4"))
    write_film(tmp_path / "sound.mp4", pictures=False)
    (tmp_path / "text.txt").write_text("no film")
    said = graftwork("sample", run, tmp_path / name, "--question", "what?", "--out", tmp_path / "o")
    assert said.status == 2
    assert len(said.err.strip().splitlines()) == 1
    assert re.search(f"{re.escape(name)}.*({told})", said.err), said.err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (records("gone"), r"record 1.*gone\.mp4: no such clip"),
        (records("one", question="which way?"), "record 1.*no question has a placeholder"),
        (records("one", question="<video> <video>"), "record 1.*2 placeholders for 1 clips"),
        ([{"video": "one", "conversations": []}], "record 1.*has no 'conversations'"),
        (records("one", question="<video> " + "word " * 600), "does not fit into 512 tokens"),
    ],
)
def test_records_that_cannot_be_learned(
    place: Path, graftwork: Any, tmp_path: Path, given: list[Any], told: str
) -> None:
    (tmp_path / "bad.json").write_text(json.dumps(given))
    document = tomllib.loads((place / "run.toml").read_text())
    document["data"] |= {"path": str(tmp_path / "bad.json"), "media": str(place)}
    (tmp_path / "run.toml").write_text(tomli_w.dumps(document))
    said = graftwork("fit", tmp_path / "run.toml", "--out", tmp_path / "run")
    assert said.status == 2
    assert re.search(told, said.err), said.err
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("default::graftwork.core.errors.GraftworkWarning")
def test_unreadable_films_are_passed_over(place: Path, graftwork: Any, tmp_path: Path) -> None:
    cut(write_film(tmp_path / "cut.mp4"))
    write_film(tmp_path / "whole.mp4")
    given = records("cut", "whole", "gone", "cut")
    (tmp_path / "some.json").write_text(json.dumps(given))
    document = tomllib.loads((place / "run.toml").read_text())
    document["data"] |= {"path": str(tmp_path / "some.json"), "skip_unreadable": True}
    document["train"] |= {"steps": 3, "batch": 3}
    document["backbone"].pop("cache")
    (tmp_path / "run.toml").write_text(tomli_w.dumps(document))
    said = graftwork("fit", tmp_path / "run.toml", "--out", tmp_path / "run")
    assert said.status == 0, said.err
    assert re.findall(r"passed over (\d) .*'(.*)'", said.err) == [
        ("1", "gone.mp4"),  # on a look at the folder
        ("1", "cut.mp4"),  # on decoding; two records share it
    ]
