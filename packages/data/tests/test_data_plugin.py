"""The records lead to the code, and listing them imports no Pillow."""

import subprocess
import sys

import pytest

from graftwork.core.config import describe
from graftwork.core.plugins import PluginManager
from graftwork.core.registry import Registry
from graftwork.data import plugin
from graftwork.nn.dataset import Dataset


@pytest.fixture
def registry():
    manager = PluginManager.empty()
    manager.register(plugin, "data")
    return Registry(manager)


def test_every_record_loads_a_documented_dataset(registry):
    for record in registry.records("datasets"):
        settings = record.settings_class()
        assert issubclass(record.load(), Dataset)
        assert record.load().task == record.task
        assert all(setting.doc for setting in describe(settings))


def test_names(registry):
    images = ("image-folder", "subject")
    raw_video = ("crvd", "raw-clips", "raw-photographs", "recrvd")
    video_chat = ("moving-shapes", "video-instruct", "video-questions")
    classification = ("class-folders", "digits", "label-file", "photo-patches", "torchvision")
    every = images + raw_video + video_chat + classification
    assert registry.names("datasets") == tuple(sorted(every))


def test_the_plugin_is_light():
    code = "import sys, graftwork.data.plugin; print({'PIL', 'pydantic'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "set()", output.stderr
