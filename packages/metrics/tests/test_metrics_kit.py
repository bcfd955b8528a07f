"""The kit's checks, as a stranger's metric would run them."""

from graftwork.testing import MetricSuite


class TestKPS(MetricSuite):
    name = "kps"
    range = (0.0, 1.0)
    perfect = {"unchanged": 1.0}


class TestFidelity(MetricSuite):
    name = "fidelity"
    range = (-1.0, 1.0)


class TestBalance(MetricSuite):
    name = "balance"
    range = (0.0, 1.0)


class TestDiversity(MetricSuite):
    name = "diversity"
    range = (0.0, 2.0)
