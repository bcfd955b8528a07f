"""The main job on the backbone that ships: fit on a cat, sample, and hand over to diffusers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graftwork.core import registry
from graftwork.core.plugins import PluginManager, use
from graftwork.train import runfile
from graftwork.train.run import Run
from graftwork.tune.space import search_space
from repository import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.toml"))
PROMPT = "a photo of sks cat"
SEEDS = 2
STEPS = 4
GUIDANCE = 3.0


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The cat's run file, much shortened."""
    from graftwork.cli.main import main

    folder = tmp_path_factory.mktemp("cat") / "run"
    short = {
        "optimizer.lr": 1e-2,
        "train.steps": 6,
        "train.batch": 2,
        "train.threads": 1,
        "evaluate.seeds": 2,
        "evaluate.steps": 2,
        "evaluate.guidance": GUIDANCE,
    }
    words = [f"--{key}={value}" for key, value in short.items()]
    with use(PluginManager()):
        assert main(["fit", str(ROOT / "examples" / "cat.toml"), "--out", str(folder), *words]) == 0
    return Run.open(folder)


@pytest.fixture(scope="module")
def drawn(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`drawn("on")`, `drawn("off")`: pictures of `graftwork sample`, as diffusers gives them."""
    from graftwork.cli.main import main

    folder = tmp_path_factory.mktemp("drawn")

    def draw(name: str, weight: float) -> np.ndarray[Any, Any]:
        words = ["--prompt", PROMPT, "--seeds", SEEDS, "--steps", STEPS, "--guidance", GUIDANCE]
        out = folder / name
        with use(PluginManager()):
            line = ["sample", run.folder, *words, "--weight", weight, "--out", out]
            assert main([str(word) for word in line]) == 0
        return np.stack([np.asarray(Image.open(out / f"00-{s:02d}.png")) for s in range(SEEDS)])

    return {"on": draw("on", 1.0), "off": draw("off", 0.0)}


def test_the_run_reports_before_and_after(run: Run) -> None:
    outcome = run.outcome()
    assert outcome is not None
    assert outcome["status"] == "finished"
    for name in ("fidelity", "kps", "diversity"):
        assert name in outcome["before"]
        assert name in outcome["after"]
    assert outcome["before"]["kps"] == pytest.approx(1.0)
    assert outcome["after"]["kps"] < 1.0, "the adapter changed nothing"
    assert (run.folder / "report.html").is_file()
    assert "data:image/" in (run.folder / "report.html").read_text()


def test_diffusers_draws_the_same_pictures(run: Run, drawn: Any, tmp_path: Path) -> None:
    import torch
    from diffusers import StableDiffusionPipeline

    from graftwork.backbones.diffusion.tiny import folder
    from graftwork.cli.main import main

    assert np.abs(drawn["on"].astype(int) - drawn["off"]).mean() > 2, "the adapter must show"
    with use(PluginManager()):
        words = ["--format", "diffusers", "--out", str(tmp_path / "lora")]
        assert main(["export", str(run.folder), *words]) == 0
        assert main(["export", str(run.folder), *words]) == 2, "it is there already"

    def theirs(lora: Path | None) -> np.ndarray[Any, Any]:
        pipeline = StableDiffusionPipeline.from_pretrained(folder(), safety_checker=None)
        pipeline.to(torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        if lora is not None:
            pipeline.load_lora_weights(lora)
        images = pipeline(
            [PROMPT] * SEEDS,
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(seed) for seed in range(SEEDS)],
        ).images
        return np.stack([np.asarray(image) for image in images])

    for ours, lora in (("on", tmp_path / "lora"), ("off", None)):
        difference = np.abs(theirs(lora).astype(int) - drawn[ours])
        assert difference.max() <= 1, f"{ours}: other than by rounding to bytes"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_a_run_file(path: Path) -> None:
    with use(PluginManager()):
        file = runfile.read(path)
        file.data.build().check()
        if file.search is not None:
            space = search_space(file)
            for kind in getattr(space.get("adapter.kind"), "values", ()):
                assert registry.find("adapters", kind)
            for kind, name in (
                ("schedulers", file.search.scheduler),
                ("searchers", file.search.searcher),
            ):
                assert registry.find(kind, name)
        assert runfile.check(file.table(), name=path.name).table() == file.table()


def test_there_is_an_example_of_a_fit_and_of_a_search() -> None:
    names = {path.stem for path in EXAMPLES}
    assert {"cat", "quickstart"} <= names


def test_the_card_of_the_adapter_is_complete(run: Run) -> None:
    card = json.loads((run.adapter / "adapter.json").read_text())
    assert card["method"] == "lora"
    assert card["settings"]["rank"] == 8
    assert card["versions"]["graftwork-diffusion"]
    assert all(name.startswith(("unet.", "text_encoder.")) for name in card["sites"])
