"""Adapters through the command line: to other tools and back, into a model, into one another."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from graftwork.core.plugins import PluginManager, use
from graftwork.nn import load_graft
from repository import ROOT

TINY = ("--backbone.kind", "tiny-sd")


def graftwork(*words: object) -> int:
    from graftwork.cli.main import main

    with use(PluginManager()):
        return main([str(word) for word in words])


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two short runs on the backbone that ships: `sine` and `lora`."""
    here = tmp_path_factory.mktemp("exchange")
    short = {
        "train.steps": 2,
        "train.batch": 1,
        "train.threads": 1,
        "evaluate.seeds": 1,
        "evaluate.steps": 1,
        "optimizer.lr": 0.03,
        "metric": "[]",
        "adapter.rank": 3,
    }
    words = [f"--{key}={value}" for key, value in short.items()]
    cat = ROOT / "examples" / "cat.toml"
    for kind in ("sine-lora", "lora"):
        out = here / kind.removesuffix("-lora")
        assert graftwork("fit", cat, "--out", out, f"--adapter.kind={kind}", *words) == 0
    return here


def noise(unet: Any) -> Tensor:
    """What a UNet of tiny-sd's shape sees in some noise."""
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 4, 16, 16, generator=generator)
    words = torch.randn(1, 8, unet.config.cross_attention_dim, generator=generator)
    with torch.no_grad():
        return unet(noisy, torch.tensor([300]), encoder_hidden_states=words).sample


def tiny() -> Any:
    from graftwork.backbones.diffusion.settings import TinySDConfig
    from graftwork.backbones.diffusion.tiny import TinySD

    return TinySD(TinySDConfig())


def with_adapters(*adapters: tuple[Path, float]) -> Tensor:
    backbone = tiny()
    for number, (path, weight) in enumerate(adapters):
        load_graft(backbone.module, path, name=f"a{number}", weight=weight)
    return noise(backbone.module.unet)


def test_there_and_back(here: Path, tmp_path: Path) -> None:
    frozen = noise(tiny().module.unet)
    sine, lora = here / "sine" / "adapter", here / "lora" / "adapter"
    wanted = {"sine": with_adapters((sine, 1.0)), "lora": with_adapters((lora, 1.0))}
    assert all((output - frozen).abs().max() > 1e-3 for output in wanted.values())
    ways: dict[str, tuple[str, list[object]]] = {
        "kohya.safetensors": ("lora", ["--format", "kohya"]),
        "peft": ("lora", ["--format", "peft"]),
        "peft-unet": ("lora", ["--format", "peft", "--format.part", "unet"]),
        "diffusers": ("lora", ["--format", "diffusers"]),
        "lycoris": ("lora", ["--format", "lycoris", "--format.names", "wrapper"]),
        "diff": ("sine", ["--format", "kohya", "--format.convert", "diff"]),
    }
    for name, (run, words) in ways.items():
        assert graftwork("export", here / run, "--out", tmp_path / name, *words) == 0, name
        back = tmp_path / "back" / name
        assert graftwork("import", tmp_path / name, "--out", back, *TINY) == 0, name
        torch.testing.assert_close(with_adapters((back, 1.0)), wanted[run], atol=1e-5, rtol=1e-4)


def test_a_lossy_export_tells_its_error(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--format", "diffusers", "--format.convert", "svd", "--format.rank", 1]
    assert graftwork("export", here / "sine", "--out", tmp_path / "out", *words) == 0
    said = re.search(r"relative error (\S+)", capsys.readouterr().out)
    assert said
    assert 0.0 < float(said[1]) < 1.0


@pytest.mark.filterwarnings("ignore:.* trained on other weights")
def test_merging_writes_a_plain_pipeline(here: Path, tmp_path: Path) -> None:
    adapters = [here / "sine", here / "lora" / "adapter"]
    weights = ["--weights", 0.5, 0.8]
    assert graftwork("merge", *adapters, *weights, "--out", tmp_path / "model") == 0
    plain = StableDiffusionPipeline.from_pretrained(tmp_path / "model", safety_checker=None)
    wanted = with_adapters((here / "sine" / "adapter", 0.5), (here / "lora" / "adapter", 0.8))
    torch.testing.assert_close(noise(plain.unet), wanted, atol=1e-5, rtol=1e-4)
    backbone = ["--backbone.kind", "stable-diffusion", "--backbone.path", tmp_path / "model"]
    again = [here / "lora" / "adapter", *backbone, "--out", tmp_path / "more"]
    assert graftwork("merge", *again) == 0


def test_composing_and_resizing(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lora, both = here / "lora" / "adapter", tmp_path / "both"
    weights = ["--weights", 0.5, 0.8]
    assert graftwork("compose", here / "lora", lora, *weights, "--out", both) == 0
    wanted = with_adapters((lora, 1.3))
    torch.testing.assert_close(with_adapters((both, 1.0)), wanted, atol=1e-5, rtol=1e-4)
    capsys.readouterr()
    words = [both, *TINY, "--rank", 3, "--out", tmp_path / "small"]
    assert graftwork("resize", *words) == 0, "the sum of equals has the rank of one"
    assert "energy kept: 1.0000 in all, 1.0000 at the worst site" in capsys.readouterr().out
    torch.testing.assert_close(
        with_adapters((tmp_path / "small", 1.0)), wanted, atol=1e-4, rtol=1e-3
    )
    words = [here / "sine", "--energy", 0.9, "--out", tmp_path / "least"]
    assert graftwork("resize", *words) == 0
    assert "lora of rank" in capsys.readouterr().out
