"""The conformance kit: subclass a suite, give it a name, and run pytest.

    from graftwork.testing import AdapterSuite

    class TestIA3(AdapterSuite):
        name = "ia3"

Names load on first use, so that importing the package is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graftwork.testing.adapter.suite import AdapterSuite
    from graftwork.testing.backbones import BackboneSuite
    from graftwork.testing.captioned_images import CaptionedImagesSuite
    from graftwork.testing.classification import (
        ImageClassifierSuite,
        LabelledImagesSuite,
        LabelLossSuite,
        LabelMetricSuite,
    )
    from graftwork.testing.data import DataSuite
    from graftwork.testing.losses import LossSuite
    from graftwork.testing.metrics import MetricSuite
    from graftwork.testing.plugins import PluginSuite
    from graftwork.testing.raw_video import (
        RawDenoiserSuite,
        RawLossSuite,
        RawMetricSuite,
        RawVideosSuite,
    )
    from graftwork.testing.text_to_image import TextToImageSuite
    from graftwork.testing.tokens import TokenSuite
    from graftwork.testing.toy_data import ToyDataset
    from graftwork.testing.toy_evaluation import ToyEvaluation
    from graftwork.testing.video_chat import (
        AnswerLossSuite,
        AnswerMetricSuite,
        VideoChatSuite,
        VideoInstructionsSuite,
    )

_HOME = {
    "AdapterSuite": "adapter.suite",
    "AnswerLossSuite": "video_chat",
    "AnswerMetricSuite": "video_chat",
    "BackboneSuite": "backbones",
    "CaptionedImagesSuite": "captioned_images",
    "DataSuite": "data",
    "ImageClassifierSuite": "classification",
    "LabelLossSuite": "classification",
    "LabelMetricSuite": "classification",
    "LabelledImagesSuite": "classification",
    "LossSuite": "losses",
    "MetricSuite": "metrics",
    "PluginSuite": "plugins",
    "RawDenoiserSuite": "raw_video",
    "RawLossSuite": "raw_video",
    "RawMetricSuite": "raw_video",
    "RawVideosSuite": "raw_video",
    "TextToImageSuite": "text_to_image",
    "TokenSuite": "tokens",
    "ToyDataset": "toy_data",
    "ToyEvaluation": "toy_evaluation",
    "VideoChatSuite": "video_chat",
    "VideoInstructionsSuite": "video_chat",
}

__all__ = [
    "AdapterSuite",
    "AnswerLossSuite",
    "AnswerMetricSuite",
    "BackboneSuite",
    "CaptionedImagesSuite",
    "DataSuite",
    "ImageClassifierSuite",
    "LabelLossSuite",
    "LabelMetricSuite",
    "LabelledImagesSuite",
    "LossSuite",
    "MetricSuite",
    "PluginSuite",
    "RawDenoiserSuite",
    "RawLossSuite",
    "RawMetricSuite",
    "RawVideosSuite",
    "TextToImageSuite",
    "TokenSuite",
    "ToyDataset",
    "ToyEvaluation",
    "VideoChatSuite",
    "VideoInstructionsSuite",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
