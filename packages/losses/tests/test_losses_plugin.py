"""The records lead to the code, and listing them imports no torch."""

import subprocess
import sys

import pytest

from graftwork.core.config import describe, parse
from graftwork.core.plugins import PluginManager
from graftwork.core.registry import Registry
from graftwork.losses import plugin
from graftwork.nn.loss import Loss


@pytest.fixture
def registry():
    manager = PluginManager.empty()
    manager.register(plugin, "losses")
    return Registry(manager)


def test_every_record_loads_a_documented_loss(registry):
    for record in registry.records("losses"):
        settings = record.settings_class()
        loss = record.load()(parse(settings, {}, "run.toml: loss"))
        assert isinstance(loss, Loss)
        assert record.cites
        assert all(setting.doc for setting in describe(settings))


def test_names(registry):
    diffusion = ("cat", "denoising", "dreamartist")
    raw_video = ("charbonnier", "l1-raw", "l1-srgb", "l1-stabilised", "neighbor2neighbor")
    video_chat = ("language-modeling", "language-preservation")
    classification = ("cross-entropy", "early-learning", "generalized-cross-entropy", "nmtune")
    classification += ("symmetric-cross-entropy",)
    every = diffusion + raw_video + video_chat + classification
    assert registry.names("losses") == tuple(sorted(every))


def test_the_plugin_is_light():
    code = "import sys, graftwork.losses.plugin; print({'torch', 'pydantic'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "set()", output.stderr
