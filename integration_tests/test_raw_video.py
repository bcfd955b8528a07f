"""Raw video from the command line: a denoiser adapted to a sensor, judged, used and searched."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch

from graftwork.backbones.rvideformer.config import RViDeformerConfig
from graftwork.backbones.rvideformer.files import load_model, save_model
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.data.raw.photograph_set import RawPhotographs, RawPhotographsConfig
from graftwork.raw.content import Content
from graftwork.raw.files.folder_clip import open_folder
from graftwork.raw.files.writing import write_clip
from graftwork.raw.sensor_file import load_sensor
from graftwork.train import commands

SMALL = RViDeformerConfig(
    depths=(1,) * 7, refinement_depths=(1,), width=12, refinement_width=12, window=(3, 4, 4)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of fresh weights, a run file for it, and a noisy clip on disk."""
    folder = tmp_path_factory.mktemp("raw")
    torch.manual_seed(0)
    save_model(RViDeformer(SMALL), folder / "small.safetensors")
    data = {"kind": "raw-photographs", "photographs": ["rocket", "chelsea"], "places": 1}
    size: dict[str, Any] = {"frames": 4, "side": 96, "isos": [1600, 25600]}
    document = {
        "seed": 1,
        "backbone": {
            "kind": "rvideformer",
            "path": str(folder / "small.safetensors"),
            "input": "stabilised",
            "frames": 3,
            "patch": 16,
        },
        "data": {**data, **size},
        "adapter": {"kind": "lora", "rank": 2, "sites": ["network.conv_*", "*.window_qkv*"]},
        "loss": [{"kind": "l1-stabilised"}],
        "metric": [{"kind": "psnr"}, {"kind": "temporal-psnr"}],
        "optimizer": {"lr": 1e-2},
        "train": {"steps": 4, "batch": 2, "checkpoint_every": 2, "evaluate_every": 2},
        "evaluate": {"frames": 3, "crop": 64},
    }
    (folder / "run.toml").write_text(tomli_w.dumps(document))
    test = RawPhotographs(RawPhotographsConfig(split="test", photographs=("coffee",), **size))
    noisy = test.pair(0).noisy
    write_clip(folder / "clip", iter(noisy), noisy.sensor)
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """The run file, fitted."""
    commands.fit(place / "run.toml", out=place / "run")
    return place / "run"


def test_it_learns_and_tells_by_iso(run: Path, graftwork: Any) -> None:
    outcome = graftwork("evaluate", run).out
    for name in ("psnr", "psnr_noisy", "psnr_iso1600", "psnr_iso25600", "temporal-psnr"):
        assert f"\n{name} " in outcome
    before, after = outcome.split("\npsnr ")[1].split("\n")[0].split()
    assert float(after) > float(before)
    assert "graftwork sample" in (run / "report.html").read_text()


def test_a_folder_of_raw_frames_is_denoised_by_one_command(
    place: Path, run: Path, graftwork: Any
) -> None:
    out = {}
    for weight in ("1", "0"):
        folder = place / f"denoised-{weight}"
        words = ["sample", run, place / "clip", "--iso", 1600, "--weight", weight, "--out", folder]
        said = graftwork(*words)
        assert said.status == 0, said.err
        clip = open_folder(folder, load_sensor("crvd"), content=Content.CLEAN)
        out[weight] = clip.frames(0, len(clip))
    assert out["1"].shape == (4, 96, 96)
    assert not torch.equal(out["1"], out["0"])
    assert (place / "denoised-1" / "preview" / "first.png").is_file()


def test_it_merges_into_a_network_of_its_own(place: Path, run: Path, graftwork: Any) -> None:
    assert graftwork("merge", run, "--out", place / "merged").status == 0
    merged = load_model(place / "merged" / "rvideformer.safetensors")
    fresh = load_model(place / "small.safetensors")
    assert not torch.equal(merged.conv_first.weight, fresh.conv_first.weight)


@pytest.fixture
def _own_ray() -> Iterator[None]:
    """No Ray of another module, whose workers know other plugins, and none left behind."""
    import ray

    ray.shutdown()
    yield
    ray.shutdown()


@pytest.mark.usefixtures("_own_ray")
def test_adapters_are_searched(place: Path, graftwork: Any) -> None:
    document = tomllib.loads((place / "run.toml").read_text())
    document["train"]["steps"] = 2
    document["search"] = {
        "over": ["adapter"],
        "metric": "psnr",
        "trials": 2,
        "scheduler": "fifo",
        "searcher": "grid",
        "concurrent": 1,
        "space": {
            "adapter": [
                {"kind": "affine", "sites": ["sensor_in", "sensor_out"]},
                {"kind": "dora", "rank": 2, "sites": ["network.stages.0.*"]},
            ]
        },
    }
    (place / "search.toml").write_text(tomli_w.dumps(document))
    said = graftwork("tune", place / "search.toml", "--out", place / "search")
    assert said.status == 0, said.err
    assert "affine" in said.out
    assert (place / "search" / "best" / "adapter" / "adapter.json").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sample", "RUN"], "no clip is given"),
        (["sample", "RUN", "CLIP", "--iso", "640"], "ISO 640 is not calibrated; known: 1600"),
        (["sample", "RUN", "CLIP", "--prompt", "a cat"], "unknown flag --prompt"),
        (["fit", "FILE", "--data.isos", "[100]"], "ISO 100 is not calibrated"),
        (["fit", "FILE", "--backbone.frames", "9"], "4 frames, and 9 are asked for"),
        (["fit", "FILE", "--backbone.patch", "64"], "lower backbone.patch"),
        (["fit", "FILE", "--evaluate.crop", "200"], "evaluate.crop: 200 is more than"),
        (["fit", "FILE", "--evaluate.prompts", "x"], "evaluate.prompts: unknown key"),
        (["fit", "FILE", "--backbone.reference", "nikon"], "has no part in the input 'stabilised'"),
        (["fit", "FILE", "--backbone.input", "matched", "--backbone.reference", "x"], "'x'"),
    ],
)
def test_what_is_wrong_is_one_line(
    place: Path, run: Path, graftwork: Any, tmp_path: Path, words: list[str], says: str
) -> None:
    named = {"RUN": run, "CLIP": place / "clip", "FILE": place / "run.toml"}
    out = tmp_path / "out"
    said = graftwork(*(named.get(word, word) for word in words), "--out", out)
    assert said.status == 2, said
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not out.exists()
