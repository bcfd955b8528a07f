"""The toy world of `graftwork.testing.toy` with this distribution's plugins."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

import graftwork.nn.plugin
import graftwork.train.plugin
import graftwork.tune.plugin
from graftwork.core import plugins
from graftwork.testing import toy

DOCUMENT: dict[str, Any] = {
    "seed": 3,
    "backbone": {"kind": "toy"},
    "data": {"kind": "toy-squares"},
    "adapter": {"kind": "toy-lora", "rank": 2},
    "loss": [{"kind": "toy-denoising"}, {"kind": "toy-preserve"}],
    "metric": [{"kind": "redness"}],
    "train": {"steps": 4, "batch": 2, "evaluate_every": 2},
    "search": {
        "over": ["adapter.rank", "optimizer.lr", "loss.toy-preserve.weight"],
        "metric": "redness",
        "trials": 4,
        "space": {"loss.toy-preserve.weight": [0.0, 1.0]},
    },
}


@pytest.fixture
def manager() -> Iterator[plugins.PluginManager]:
    """The toy, the layers of torch, the searchers and schedulers."""
    empty = plugins.PluginManager.empty()
    empty.register(graftwork.nn.plugin, "nn", distribution="graftwork-nn")
    empty.register(graftwork.train.plugin, "train", distribution="graftwork-train")
    empty.register(graftwork.tune.plugin, "tune", distribution="graftwork-tune")
    empty.register(toy, "toy", distribution="graftwork-toy")
    with plugins.use(empty):
        yield empty


@pytest.fixture
def document(manager: plugins.PluginManager) -> dict[str, Any]:
    """A run file's document with a search."""
    return copy.deepcopy(DOCUMENT)
