"""Learned words through the command line, on the backbone that ships: from fit to diffusers."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from graftwork.core.plugins import PluginManager, use
from graftwork.nn import load_graft
from graftwork.nn.words import LearnedWords
from graftwork.train.run import Run
from graftwork.train.session import open_session
from graftwork.tune.space import Interval, search_space
from repository import ROOT

SHORT = {
    "train.steps": 4,
    "train.batch": 2,
    "train.threads": 1,
    "train.checkpoint_every": 2,
    "train.keep": 2,
    "evaluate.seeds": 2,
    "evaluate.steps": 2,
}
EXAMPLE = ROOT / "examples" / "dreamartist.toml"


def command(*words: object) -> int:
    from graftwork.cli.main import main

    with use(PluginManager()):
        return main([str(word) for word in words])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The example, much shortened."""
    folder = tmp_path_factory.mktemp("words") / "run"
    short = [f"--{key}={value}" for key, value in SHORT.items()]
    assert command("fit", EXAMPLE, "--out", folder, *short) == 0
    return Run.open(folder)


def test_only_prompts_with_the_word_change(run: Run) -> None:
    outcome = run.outcome()
    assert outcome is not None
    assert outcome["parameters"] == 9 * 128
    assert outcome["after"]["kps"] == pytest.approx(1.0, abs=1e-6)
    assert outcome["after"]["fidelity"] != outcome["before"]["fidelity"]


def test_resuming_gives_the_same_bits(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "interrupted"
    shutil.copytree(run.folder, folder)
    (folder / "outcome.json").unlink()
    shutil.rmtree(folder / "adapter")
    shutil.rmtree(folder / "checkpoints" / "step-000004")
    assert command("resume", folder) == 0
    one, other = (load_file(f / "adapter" / "adapter.safetensors") for f in (run.folder, folder))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_saved_adapter_brings_its_words(run: Run) -> None:
    session = open_session(run.file, adapter=run.adapter)
    words = LearnedWords.of(session.backbone.module)
    assert {word: len(ids) for word, ids in words.ids.items()} == {"sks": 3, "sks-neg": 6}
    assert words.negative("a photo of sks cat") == "a photo of sks-neg cat"


def test_it_is_sampled_at_weight_one_or_not_at_all(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", run.folder, "--seeds", 1, "--steps", 2]
    for weight in (1, 0):
        out = tmp_path / f"weight-{weight}"
        assert command(*words, "--weight", weight, "--out", out) == 0
    pictures = [(tmp_path / f"weight-{weight}" / "00-00.png").read_bytes() for weight in (1, 0)]
    assert pictures[0] != pictures[1]
    assert command(*words, "--weight", 0.5, "--out", tmp_path / "half") == 2
    assert "learned words act at weight 1 or" in capsys.readouterr().err
    assert not (tmp_path / "half").exists()


def test_the_exported_words_are_those_of_diffusers(run: Run, tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    from graftwork.backbones.diffusion import tiny

    out = tmp_path / "out"
    assert command("export", run.folder, "--format", "embeddings", "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {"sks.safetensors", "sks-neg.safetensors"}
    pipeline = StableDiffusionPipeline.from_pretrained(
        tiny.folder(), safety_checker=None, dtype=torch.float32
    )
    for name in ("sks", "sks-neg"):
        pipeline.load_textual_inversion(str(out), weight_name=f"{name}.safetensors")
    with torch.no_grad():
        prompt, negative = pipeline.encode_prompt(
            "a photo of sks cat", "cpu", 1, True, "a photo of sks-neg cat"
        )
    backbone = open_session(run.file, adapter=run.adapter).backbone
    assert torch.allclose(_embedded(backbone, "a photo of sks cat"), prompt, atol=1e-5)
    assert torch.allclose(_embedded(backbone, "a photo of sks-neg cat"), negative, atol=1e-5)

    fresh = run.file.backbone.build()
    again = load_graft(fresh.module, out)
    assert again.method == "dreamartist"
    assert torch.equal(_embedded(fresh, "sks and sks-neg"), _embedded(backbone, "sks and sks-neg"))


def _embedded(backbone: Any, prompt: str) -> torch.Tensor:
    from graftwork.backbones.diffusion import text

    words = LearnedWords.of(backbone.module)
    with torch.no_grad():
        return text.embed_texts(backbone.module.text_encoder, backbone.tokenizer, [prompt], words)


def test_the_number_of_vectors_is_searched(run: Run) -> None:
    from graftwork.train import runfile

    search = {"over": ["adapter.vectors", "optimizer.lr", "loss.dreamartist.guidance"]}
    table = run.file.table() | {"search": search | {"metric": "fidelity"}}
    space = search_space(runfile.check(table, name="run.toml"))
    assert space["adapter.vectors"] == Interval(1, 8)
    assert space["loss.dreamartist.guidance"] == Interval(1.5, 5.0)


def test_a_search_over_methods_keeps_to_the_family(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFTWORK_BLOCK", "peft,lycoris")
    with use(PluginManager()):
        _check_families(run)


def _check_families(run: Run) -> None:
    from graftwork.train import runfile

    table = run.file.table() | {"search": {"over": ["adapter.kind"], "metric": "fidelity"}}
    space: Any = search_space(runfile.check(table, name="run.toml"))
    assert space["adapter.kind"].values == ("dreamartist", "textual-inversion")
    table["adapter"] = {"kind": "lora", "rank": 2}
    table["loss"] = [{"kind": "denoising"}]
    space = search_space(runfile.check(table, name="run.toml"))
    assert "lora" in space["adapter.kind"].values
    assert "dreamartist" not in space["adapter.kind"].values


def test_a_search_finds_vectors(run: Run, tmp_path: Path) -> None:
    import tomli_w

    table = run.file.table() | {
        "search": {
            "over": ["adapter.vectors"],
            "metric": "fidelity",
            "trials": 2,
            "searcher": "grid",
            "scheduler": "fifo",
            "space": {"adapter.vectors": [1, 2]},
        }
    }
    table["train"]["steps"] = 1
    path = tmp_path / "run.toml"
    path.write_text(tomli_w.dumps(table))
    assert command("tune", path, "--out", tmp_path / "found") == 0
    runs = sorted((tmp_path / "found").glob("**/outcome.json"))
    counts = {(Run.open(found.parent).outcome() or {})["parameters"] for found in runs}
    assert counts == {7 * 128, 8 * 128}
