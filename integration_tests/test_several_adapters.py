"""Runs of several adapters through the command line, on the backbone that ships: DreamArtist++."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import load_file

from graftwork.core.plugins import PluginManager, use
from graftwork.nn.branches import branched
from graftwork.nn.words import LearnedWords
from graftwork.train import runfile
from graftwork.train.run import Run
from graftwork.train.session import open_session
from repository import ROOT

SHORT = {
    "train.steps": 4,
    "train.batch": 2,
    "train.warmup": 1,
    "train.threads": 1,
    "train.checkpoint_every": 2,
    "train.keep": 2,
    "evaluate.seeds": 2,
    "evaluate.steps": 2,
    "adapter.words.vectors": 2,
    "adapter.positive.rank": 2,
}
EXAMPLE = ROOT / "examples" / "dreamartist-plus.toml"
NAMES = ("words", "positive", "negative")


def command(*words: object) -> int:
    from graftwork.cli.main import main

    with use(PluginManager()):
        return main([str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The example, much shortened."""
    folder = tmp_path_factory.mktemp("plus") / "run"
    short = [f"--{key}={value}" for key, value in SHORT.items()]
    assert command("fit", EXAMPLE, "--out", folder, *short) == 0
    return Run.open(folder)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{name}/{key}": tensor
        for name in NAMES
        for key, tensor in load_file(folder / "adapter" / name / "adapter.safetensors").items()
    }


def test_the_run_keeps_each_with_its_branch(run: Run) -> None:
    assert {path.name for path in run.adapter.iterdir()} == set(NAMES)
    cards = {name: json.loads((run.adapter / name / "adapter.json").read_text()) for name in NAMES}
    assert [cards[name].get("branch") for name in NAMES] == [None, "positive", "negative"]
    outcome = run.outcome()
    assert outcome is not None
    assert outcome["adapters"]["words"] == (2 + 6) * 128
    positive, negative = outcome["adapters"]["positive"], outcome["adapters"]["negative"]
    assert 3 * positive == 2 * negative, "rank 2 and rank 3 on the same sites"
    assert outcome["parameters"] == sum(outcome["adapters"].values())
    assert all(tensor.any() for key, tensor in weights(run.folder).items() if key.endswith(".up"))


def test_resuming_gives_the_same_bits(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    shutil.copytree(run.folder, folder)
    (folder / "outcome.json").unlink()
    shutil.rmtree(folder / "adapter")
    shutil.rmtree(folder / "checkpoints" / "step-000004")
    assert command("resume", folder) == 0
    one, other = weights(run.folder), weights(folder)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_what_is_loaded_acts_side_by_side(run: Run) -> None:
    session = open_session(run.file, adapter=run.adapter)
    module = session.backbone.module
    assert branched(module)
    assert set(LearnedWords.of(module).ids) == {"sks", "sks-neg"}
    prompt, settings = ["a photo of sks cat"], {"steps": 2, "guidance": 3.0}
    drawn = session.backbone.sample(prompt, [0], **settings)
    for name in ("positive", "negative"):
        with session.adapters.grafts[name].disabled():
            assert not torch.equal(session.backbone.sample(prompt, [0], **settings), drawn), name
    # Up to a guidance of 1 there is no negative side.
    plain = session.backbone.sample(prompt, [0], steps=2, guidance=1.0)
    with session.adapters.grafts["negative"].disabled():
        assert torch.equal(session.backbone.sample(prompt, [0], steps=2, guidance=1.0), plain)


def test_it_is_sampled_at_half_of_the_loras_and_whole_words(run: Run, tmp_path: Path) -> None:
    pictures = []
    for weight in (1, 0.5, 0):
        out = tmp_path / f"at-{weight}"
        words = ["sample", run.folder, "--seeds", 1, "--steps", 2, "--weight", weight]
        assert command(*words, "--out", out) == 0
        pictures.append((out / "00-00.png").read_bytes())
    assert len(set(pictures)) == 3


@pytest.mark.filterwarnings("default::graftwork.core.errors.GraftworkWarning")
def test_one_is_exported_and_its_branch_is_told(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export", run.folder, "--format", "diffusers", "--out", tmp_path / "x") == 2
    assert f"name one, as {run.adapter}/words" in capsys.readouterr().err
    out = tmp_path / "positive"
    place = run.adapter / "positive"
    assert command("export", place, "--format", "diffusers", "--out", out) == 0
    assert "note: this adapter acts on the positive branch" in capsys.readouterr().err
    words = run.adapter / "words"
    assert command("export", words, "--format", "embeddings", "--out", tmp_path / "words") == 0
    assert "note:" not in capsys.readouterr().err
    assert command("merge", place, "--out", tmp_path / "model") == 2
    assert "merge: graft 'adapter-1' acts on the positive branch" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
    for task in ("resize", "compose"):
        how = ["--rank", 1, *(["--how", "svd"] if task == "compose" else [])]
        assert command(task, place, "--out", tmp_path / task, *how) == 0
        assert json.loads((tmp_path / task / "adapter.json").read_text())["branch"] == "positive"
    both = [run.adapter / "positive", run.adapter / "negative"]
    assert command("compose", *both, "--out", tmp_path / "both") == 2
    assert "acts on positive and" in capsys.readouterr().err


def test_a_rank_of_one_of_them_is_searched(run: Run, tmp_path: Path) -> None:
    """On two adapters: pivotal tuning, a learned word beside a LoRA."""
    table: dict[str, Any] = run.file.table()
    table["adapter"] = [
        {"kind": "textual-inversion", "vectors": 2, "lr": 1e-2},
        {"kind": "lora", "rank": 1, "sites": ["unet.mid_block.*.to_[kv]"]},
    ]
    table |= {
        "loss": [{"kind": "denoising"}],
        "search": {
            "over": ["adapter.lora.rank", "adapter.textual-inversion.lr"],
            "metric": "fidelity",
            "trials": 2,
            "searcher": "grid",
            "scheduler": "fifo",
            "space": {"adapter.lora.rank": [1, 2], "adapter.textual-inversion.lr": [1e-2]},
        },
    }
    table["train"] |= {"steps": 1, "warmup": 0}
    path = tmp_path / "run.toml"
    path.write_text(tomli_w.dumps(table))
    found = tmp_path / "found"
    assert command("tune", path, "--out", found) == 0
    board = json.loads((found / "leaderboard.json").read_text())
    counts = {row["settings"]["adapter.lora.rank"]: row["parameters"] for row in board["trials"]}
    assert set(counts) == {1, 2}
    assert counts[2] - 2 * 128 == 2 * (counts[1] - 2 * 128)
    best = Run.open(found / "best")
    assert {path.name for path in best.adapter.iterdir()} == {"textual-inversion", "lora"}
    page = (found / "report.html").read_text()
    assert "textual-inversion + lora came first of 2 trials" in page
    assert runfile.read(best.folder / "run.toml").adapters["lora"].settings.rank in (1, 2)
