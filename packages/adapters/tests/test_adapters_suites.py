from torch import nn

from graftwork.testing import AdapterSuite
from graftwork.testing.adapter.toys import Toy

WIDE = [
    Toy(
        name="linear",
        kind="linear",
        build=lambda: nn.Sequential(nn.Linear(24, 30), nn.Tanh(), nn.Linear(30, 24, bias=False)),
        shape=(2, 3, 24),
        largest_rank=24,
    ),
    Toy(
        name="conv2d",
        kind="conv2d",
        build=lambda: nn.Sequential(nn.Conv2d(24, 30, 1), nn.Tanh(), nn.Conv2d(30, 24, 1)),
        shape=(2, 24, 3, 2),
        largest_rank=24,
    ),
]


class TestLoRA(AdapterSuite):
    name = "lora"
    settings = {"rank": 2}


class TestRankStabilizedLoRA(AdapterSuite):
    name = "lora"
    settings = {"rank": 2, "alpha": 3.0, "rank_stabilized": True}


class TestDoRA(AdapterSuite):
    name = "dora"
    settings = {"rank": 2}


class TestSineLoRA(AdapterSuite):
    name = "sine-lora"
    settings = {"rank": 2, "alpha": 4.0}


class TestTLoRA(AdapterSuite):
    name = "tlora"
    settings = {"rank": 2}
    unsupported = {"embedding": "its columns are tokens, which a transform would mix at random"}


class TestTLoRAWithRingResidual(AdapterSuite):
    name = "tlora"
    settings = {"transform_rank": 1, "residual": "tensor-ring", "rank": 2, "alpha": 3.0}
    unsupported = {"embedding": "its columns are tokens, which a transform would mix at random"}


class TestSineLoRAWithOmegaBySite(AdapterSuite):
    name = "sine-lora"
    settings = {"rank": 2, "omega": 30.0, "omega_by_site": {"*": 150.0}}


class TestSineDoRA(AdapterSuite):
    name = "sine-dora"
    settings = {"rank": 2, "alpha": 4.0}


class TestLoHa(AdapterSuite):
    name = "loha"
    settings = {"rank": 2, "alpha": 1.0}


class TestLoKr(AdapterSuite):
    name = "lokr"
    settings = {"rank": 2, "alpha": 3.0}


class WideSuite(AdapterSuite):
    """On layers large enough for fast paths that the kit's small ones are not worth."""

    def toys(self, only=None):
        return [toy for toy in WIDE if only is None or toy.name in only] or WIDE[:1]


class TestLoKrOfWideLayers(WideSuite):
    name = "lokr"
    settings = {"rank": 2, "alpha": 3.0}


class TestOFTOfWideLayers(WideSuite):
    name = "oft"
    settings = {"block_size": 4}


class TestLoKrOfTwoProducts(AdapterSuite):
    name = "lokr"
    settings = {"rank": 1, "factor": 4, "decompose_both": True}


class OFTSuite(AdapterSuite):
    name = "oft"

    def toys(self, only=None):
        # A side of one has no rotation and is refused (test_adapters_oft).
        return [toy for toy in super().toys(only) if toy.name != "linear-odd"]


class TestOFT(OFTSuite):
    settings = {"block_size": 4}
    unsupported = {"embedding": "its input side is the vocabulary"}


class TestOFTOfTheOutput(OFTSuite):
    settings = {"block_size": 4, "side": "output", "constraint": 0.05}


class TestOFTByItsSeries(OFTSuite):
    settings = {"block_size": 2, "cayley": "neumann"}
    unsupported = {"embedding": "its input side is the vocabulary"}


class TestStyleInject(AdapterSuite):
    name = "style-inject"
    settings = {"rank": 2, "branches": 3}
    unsupported = {"embedding": "its input has no features for the router"}


class TestPlainStyleInject(AdapterSuite):
    name = "style-inject"
    settings = {"rank": 2, "branches": 2, "alpha": 3.0, "variant": "plain"}
    unsupported = {"embedding": "its input has no features for the router"}


class TestAffine(AdapterSuite):
    name = "affine"
