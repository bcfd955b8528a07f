"""The records lead to the code, and listing them imports no torch."""

import subprocess
import sys

import pytest

from graftwork.core.config import describe, parse
from graftwork.core.plugins import PluginManager
from graftwork.core.registry import Registry
from graftwork.metrics import plugin
from graftwork.nn.metric import Metric


@pytest.fixture
def registry():
    manager = PluginManager.empty()
    manager.register(plugin, "metrics")
    return Registry(manager)


def test_every_record_loads_a_documented_metric(registry):
    for record in registry.records("metrics"):
        settings = record.settings_class()
        metric = record.load()(parse(settings, {}, "run.toml: metric"))
        assert isinstance(metric, Metric)
        assert metric.higher_is_better == record.higher_is_better
        assert all(setting.doc for setting in describe(settings))


def test_names(registry):
    diffusion = ("balance", "diversity", "fidelity", "kps")
    raw_video = ("psnr", "srgb-psnr", "ssim", "temporal-psnr")
    video_chat = ("video-choice", "video-pairs", "video-qa")
    classification = ("accuracy", "calibration-error", "lsvr", "sve")
    every = diffusion + raw_video + video_chat + classification
    assert registry.names("metrics") == tuple(sorted(every))


def test_the_plugin_is_light():
    code = "import sys, graftwork.metrics.plugin; print({'torch', 'pydantic'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "set()", output.stderr
