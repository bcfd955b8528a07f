"""`tiny-rvideformer`: an RViDeformer small enough to ship and to adapt on a CPU."""

from importlib import resources
from pathlib import Path

from graftwork.backbones.rvideformer.backbone import RViDeformerBackbone
from graftwork.backbones.rvideformer.files import load_model
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.sensing import Sensing, Stabilised
from graftwork.backbones.rvideformer.settings import TinyRViDeformerConfig
from graftwork.core.errors import GraftworkError


def weights() -> Path:
    """Where the shipped weights are."""
    folder = resources.files("graftwork.backbones.rvideformer").joinpath("tiny_rvideformer")
    return Path(str(folder.joinpath("model.safetensors")))


class TinyRViDeformer(RViDeformerBackbone):
    """The shipped network, in float32, on stabilised frames."""

    def _load(self, settings: TinyRViDeformerConfig) -> tuple[RViDeformer, Sensing]:
        if not weights().is_file():
            raise GraftworkError(
                "tiny-rvideformer: its weights are not in this installation; install "
                "graftwork-rvideformer from its wheel"
            )
        return load_model(weights()), Stabilised()
