"""The kit's checks of the losses of raw-video denoisers."""

from graftwork.testing import RawLossSuite


class TestL1Raw(RawLossSuite):
    name = "l1-raw"


class TestL1SRGB(RawLossSuite):
    name = "l1-srgb"


class TestL1Stabilised(RawLossSuite):
    name = "l1-stabilised"


class TestCharbonnier(RawLossSuite):
    name = "charbonnier"


class TestNeighbor2Neighbor(RawLossSuite):
    name = "neighbor2neighbor"
