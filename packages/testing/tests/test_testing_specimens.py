"""Sound plugins pass their suites: the kit's own toys, registered as any plugin would be."""

import pytest

from graftwork.core import plugins
from graftwork.core.plugins import PluginManager
from graftwork.testing import (
    AdapterSuite,
    CaptionedImagesSuite,
    LossSuite,
    MetricSuite,
    TextToImageSuite,
    toy,
)

MANAGER = PluginManager()
MANAGER.register(toy, "toy")


class Registered:
    """Looks records up where the toys are registered, while tests are collected and run."""

    plugin = "graftwork.core"  # the toy plugin carries its code with it and is not light

    def pytest_generate_tests(self, metafunc):
        generate = getattr(super(), "pytest_generate_tests", None)
        with plugins.use(MANAGER):
            if generate is not None:
                generate(metafunc)

    @pytest.fixture(autouse=True)
    def _use_toys(self):
        with plugins.use(MANAGER):
            yield


class TestAdapter(Registered, AdapterSuite):
    name = "toy-lora"


class TestLoss(Registered, LossSuite):
    name = "toy-denoising"


class TestFreeLoss(Registered, LossSuite):
    name = "toy-preserve"


class TestMetric(Registered, MetricSuite):
    name = "redness"
    range = (0.0, 1.0)


class TestBackbone(Registered, TextToImageSuite):
    name = "toy"


class TestData(Registered, CaptionedImagesSuite):
    name = "toy-squares"

    def make(self, folder):
        return {"images": 3}
