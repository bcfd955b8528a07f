"""The toy world of `graftwork.testing.toy`, as the only plugins of this process."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import graftwork.nn.plugin
import graftwork.train.plugin
from graftwork.core import plugins
from graftwork.testing import toy
from graftwork.train import runfile
from graftwork.train.runfile import RunFile

DOCUMENT: dict[str, Any] = {
    "seed": 3,
    "backbone": {"kind": "toy"},
    "data": {"kind": "toy-squares"},
    "adapter": {"kind": "toy-lora", "rank": 2},
    "loss": [{"kind": "toy-denoising"}, {"kind": "toy-preserve", "weight": 2.0}],
    "metric": [{"kind": "redness"}],
    "optimizer": {"lr": 0.02},
    "train": {"steps": 6, "batch": 3, "checkpoint_every": 2, "evaluate_every": 3},
    "evaluate": {"seeds": 2, "steps": 2},
}


@pytest.fixture(autouse=True)
def manager() -> Iterator[plugins.PluginManager]:
    """Only the toy, the layers of torch and the commands of train are installed."""
    empty = plugins.PluginManager.empty()
    empty.register(graftwork.nn.plugin, "nn", distribution="graftwork-nn")
    empty.register(graftwork.train.plugin, "train", distribution="graftwork-train")
    empty.register(toy, "toy", distribution="graftwork-toy")
    with plugins.use(empty):
        yield empty


@pytest.fixture
def document() -> dict[str, Any]:
    """The run file's document."""
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def file() -> RunFile:
    """A run of six steps."""
    return runfile.check(DOCUMENT, name="run.toml")


@pytest.fixture
def path(tmp_path: Path, file: RunFile) -> Path:
    """The same run as a file."""
    written = tmp_path / "toy.toml"
    written.write_text(file.text())
    return written
