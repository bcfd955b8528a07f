"""The kit's checks of the backbone, on a small network of fresh weights."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from graftwork.backbones.rvideformer.config import RViDeformerConfig
from graftwork.backbones.rvideformer.files import save_model
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.testing import RawDenoiserSuite

FOLDER = tempfile.TemporaryDirectory()
SMALL = RViDeformerConfig(
    depths=(2, 1, 1, 1, 1, 1, 1),
    refinement_depths=(1,),
    width=12,
    refinement_width=12,
    window=(3, 4, 4),
    drop_path=0.0,
)


def weights() -> str:
    """A file of fresh weights, made once."""
    path = Path(FOLDER.name) / "small.safetensors"
    if not path.exists():
        torch.manual_seed(5)
        save_model(RViDeformer(SMALL), path)
    return str(path)


class Small(RawDenoiserSuite):
    name = "rvideformer"
    given: dict[str, Any] = {}

    def parsed(self, **changes: Any) -> Any:
        """Settings of the small network, with examples that suit it."""
        small = {"path": weights(), "frames": 3, "patch": 16, "tile": 64, "overlap": 8}
        return super().parsed(**{**small, **self.given, **changes})


class TestStabilised(Small):
    given = {"input": "stabilised"}


class TestTiny(RawDenoiserSuite):
    name = "tiny-rvideformer"
    settings = {"frames": 3, "patch": 32, "tile": 80}
