"""Classification from the command line: heads, adapters beside them, noise, searches and errors."""

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import tomli_w
import torch
from safetensors.torch import load_file

from graftwork.train import commands, fit, runfile
from graftwork.tune.space import search_space

TINY = {"img_size": 16, "patch_size": 4, "embed_dim": 24, "depth": 1, "num_heads": 2}
NMTUNE = [{"kind": "cross-entropy"}, {"kind": "nmtune"}]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of drawn weights, in the folder that timm writes."""
    folder = tmp_path_factory.mktemp("classification")
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, **TINY)
    timm.models.save_for_hf(model, str(folder / "model"), safe_serialization=True)
    return folder


@pytest.fixture
def document(place: Path) -> dict[str, Any]:
    """Four digits, a head on features that are kept."""
    return copy.deepcopy(
        {
            "seed": 1,
            "backbone": {
                "kind": "timm",
                "path": str(place / "model"),
                "cache": str(place / "features"),
            },
            "data": {"kind": "digits", "classes": ["0", "1", "4", "7"], "per_class": 40},
            "adapter": {"kind": "nmtune-head", "residual": True},
            "loss": NMTUNE,
            "metric": [{"kind": "accuracy"}, {"kind": "sve"}, {"kind": "lsvr"}],
            "optimizer": {"lr": 5e-3},
            "train": {"steps": 120, "batch": 32, "threads": 1, "schedule": "cosine"},
        }
    )


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """`write(document)`: a run file."""

    def made(document: dict[str, Any]) -> Path:
        (tmp_path / "run.toml").write_text(tomli_w.dumps(document))
        return tmp_path / "run.toml"

    return made


def figures(folder: Path) -> dict[str, Any]:
    outcome: dict[str, Any] = json.loads((folder / "outcome.json").read_text())
    return outcome


def test_a_head_learns_on_features_that_are_kept(
    document: dict[str, Any], write: Any, place: Path, tmp_path: Path, graftwork: Any
) -> None:
    document["data"]["noise"] = 0.1
    document["evaluate"] = {"corruptions": ["tint", "rotation"], "severities": [1, 5]}
    said = graftwork("fit", write(document), "--out", tmp_path / "run")
    assert said.status == 0, said.err
    found = figures(tmp_path / "run")
    assert found["after"]["accuracy"] > 0.6
    assert found["before"]["accuracy"] < 0.5
    assert {"accuracy_ood", "accuracy_tint", "sve_frozen"} <= found["after"].keys()
    assert found["after"]["accuracy_rotation"] <= found["after"]["accuracy"]
    lines = (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()
    changed = [row for row in map(json.loads, lines) if "trained as" in row]
    assert len(changed) == 16  # a tenth of 160
    kept = sorted((place / "features").rglob("*.safetensors"))
    assert len(kept) == 6  # training, test, and twice two corruptions
    before = [path.stat().st_mtime_ns for path in kept]
    judged = graftwork("evaluate", tmp_path / "run")
    assert judged.status == 0, judged.err
    assert f"{found['after']['accuracy']:.4f}" in judged.out
    assert [path.stat().st_mtime_ns for path in kept] == before


def test_an_adapter_and_a_head_learn_together(
    document: dict[str, Any], write: Any, tmp_path: Path, graftwork: Any
) -> None:
    document["adapter"] = [
        {"kind": "lora", "rank": 2},
        {"kind": "nmtune-head", "name": "head", "residual": True, "lr": 5e-3},
    ]
    document["train"]["steps"] = 12
    said = graftwork("fit", write(document), "--out", tmp_path / "run")
    assert said.status == 0, said.err
    found = figures(tmp_path / "run")
    assert found["after"]["accuracy"] > found["before"]["accuracy"]
    assert set(found["adapters"]) == {"lora", "head"}
    up = load_file(tmp_path / "run" / "adapter" / "lora" / "adapter.safetensors")
    assert any("attn.qkv.q" in name and tensor.any() for name, tensor in up.items())
    image = tmp_path / "seven.png"
    write_digit(image)
    named = graftwork("sample", tmp_path / "run", image, "--out", tmp_path / "named", "--top", 2)
    assert named.status == 0, named.err
    (row,) = (tmp_path / "named" / "classes.jsonl").read_text().splitlines()
    assert len(json.loads(row)["classes"]) == 2
    merged = graftwork("merge", tmp_path / "run", "--out", tmp_path / "merged")
    assert merged.status == 2
    assert "'nmtune-head' is a head, which no plain model has" in merged.err
    body = tmp_path / "run" / "adapter" / "lora"
    merged = graftwork("merge", body, "--run", tmp_path / "run", "--out", tmp_path / "merged")
    assert merged.status == 0, merged.err
    again = timm.create_model(f"local-dir:{tmp_path / 'merged'}", pretrained=True)
    assert again(torch.zeros(1, 3, 16, 16)).shape == (1, 24)


def write_digit(path: Path) -> None:
    from PIL import Image

    from graftwork.data.labelled.digits import Digits, DigitsConfig

    picture = Digits(DigitsConfig()).image(7)
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(path)


def test_a_resumed_run_is_the_uninterrupted_one(
    document: dict[str, Any], write: Any, tmp_path: Path
) -> None:
    """Early learning keeps a target of every example, which checkpoints hold."""
    document["adapter"] = {"kind": "mlp-head", "dropout": 0.2}
    document["loss"] = [{"kind": "early-learning"}]
    document["train"] |= {"steps": 12, "evaluate_every": 6, "checkpoint_every": 6}
    path = write(document)
    commands.fit(path, out=tmp_path / "whole")
    stopped = fit.start(runfile.read(path), tmp_path / "stopped")
    evaluations = iter(stopped)
    assert [next(evaluations).step for _ in range(2)] == [0, 6]
    evaluations.close()  # type: ignore[attr-defined]
    fit.resume(tmp_path / "stopped")
    whole, resumed = (
        load_file(tmp_path / name / "adapter" / "adapter.safetensors")
        for name in ("whole", "stopped")
    )
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


@pytest.fixture
def _ray(site: Path) -> Iterator[None]:
    """A Ray of our own, with one worker."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
        ray.shutdown()
        ray.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.mark.usefixtures("_ray")
def test_a_search_over_heads_reads_one_cache(
    document: dict[str, Any], write: Any, place: Path, tmp_path: Path, graftwork: Any
) -> None:
    document["adapter"] = {"kind": "linear-head"}
    document["train"]["steps"] = 6
    document["backbone"]["cache"] = str(tmp_path / "features")
    document["search"] = {
        "over": ["adapter.kind"],
        "metric": "accuracy",
        "trials": 2,
        "searcher": "grid",
        "scheduler": "fifo",
        "space": {"adapter.kind": ["linear-head", "nmtune-head"]},
    }
    said = graftwork("tune", write(document), "--out", tmp_path / "found")
    assert said.status == 0, said.err
    kinds = {runfile.read(path).method for path in (tmp_path / "found").rglob("run.toml")}
    assert kinds == {"linear-head", "nmtune-head"}
    assert len(list((tmp_path / "features").rglob("*.safetensors"))) == 2


def test_a_head_is_searched_among_heads(document: dict[str, Any], write: Any) -> None:
    document["adapter"] = {"kind": "linear-head"}
    document["search"] = {"over": ["adapter.kind"], "metric": "accuracy"}
    (methods,) = search_space(runfile.read(write(document))).values()
    assert methods.values == ("linear-head", "mlp-head", "nmtune-head")
    document["adapter"] = {"kind": "lora"}
    (methods,) = search_space(runfile.read(write(document))).values()
    assert "lora" in methods.values
    assert "linear-head" not in methods.values


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"adapter": {"kind": "lora"}}, r"classifier is blank .*kind = 'linear-head'"),
    ({"adapter": {"kind": "mlp-head", "hidden": 9}}, "gives 9 features for the backbone's 24"),
    ({"backbone": {"kind": "timm", "model": "resnet81"}}, "timm has no such model; did you mean"),
    ({"backbone": {"kind": "timm"}}, "model: is missing"),
    ({"data": {"kind": "digits", "classes": ["0", "a"]}}, r"data\.classes: 'a' is none"),
    ({"train": {"steps": 2, "batch": 1}}, r"raise train\.batch"),
    ({"evaluate": {"corruptions": ["fog"]}}, "evaluate.corruptions"),
    ({"metric": [{"kind": "accuracy", "top": 9}]}, "9 is more than the 4 classes"),
    ({"loss": [{"kind": "denoising"}]}, "is for text-to-image"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG)
def test_what_cannot_be_run_is_told_in_one_line(
    document: dict[str, Any],
    write: Any,
    tmp_path: Path,
    graftwork: Any,
    changes: dict[str, Any],
    told: str,
) -> None:
    said = graftwork("fit", write(document | changes), "--out", tmp_path / "run")
    assert said.status == 2
    (line,) = [line for line in said.err.strip().splitlines() if line.startswith("error")]
    assert re.search(told, line), line
    assert not (tmp_path / "run" / "adapter").exists()
