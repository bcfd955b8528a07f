"""The plain reference, and pairs of it and our model with the same weights."""

import importlib.util
from pathlib import Path

import pytest
import torch

from graftwork.backbones.rvideformer.config import RViDeformerConfig
from graftwork.backbones.rvideformer.network import RViDeformer
from graftwork.backbones.rvideformer.official import load_official_state_dict

# Small in all ways but one: shifts, mutual attention, every branch, several groups of frames.
SMALL = {
    "depths": (4, 1, 1, 1, 1, 1, 2),
    "refinement_depths": (2,),
    "width": 12,
    "refinement_width": 18,
    "window": (6, 4, 4),
}


@pytest.fixture(scope="session")
def plain():
    path = Path(__file__).with_name("plain_rvideformer.py")
    spec = importlib.util.spec_from_file_location("plain_rvideformer", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def small():
    return dict(SMALL)


@pytest.fixture(scope="session")
def pair(plain):
    """Make (ours, reference) with equal, telling weights."""

    def make(seed=0, **changes):
        torch.manual_seed(seed)
        reference = plain.randomise(plain.PlainRViDeformer(**changes), seed).eval()
        ours = RViDeformer(RViDeformerConfig(**changes)).eval()
        load_official_state_dict(ours, reference.state_dict())
        return ours, reference

    return make


@pytest.fixture(scope="session")
def tiny():
    """Make a model of the least size, with telling weights."""

    def make(seed=0, **changes):
        torch.manual_seed(seed)
        sizes = {"refinement_depths": (1,), "width": 12, "refinement_width": 12}
        config = RViDeformerConfig(**({**sizes, "window": (2, 4, 4)} | changes))
        model = RViDeformer(config).eval()
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.dim() == 1 or name.endswith(("window_bias", "coarse_bias")):
                    parameter.add_(0.3 * torch.randn_like(parameter))
        return model

    return make
