"""The kit's checks of the losses of image classifiers."""

from graftwork.testing import LabelLossSuite


class TestCrossEntropy(LabelLossSuite):
    name = "cross-entropy"


class TestLabelSmoothing(LabelLossSuite):
    name = "cross-entropy"
    settings = {"label_smoothing": 0.1}
    zero_at_perfection = False


class TestGeneralizedCrossEntropy(LabelLossSuite):
    name = "generalized-cross-entropy"


class TestSymmetricCrossEntropy(LabelLossSuite):
    name = "symmetric-cross-entropy"


class TestEarlyLearning(LabelLossSuite):
    name = "early-learning"
    zero_at_perfection = False


_DIVIDED = {
    "test_batch_is_averaged": "a covariance of M examples is divided by M - 1, as published"
}


class TestNMTune(LabelLossSuite):
    name = "nmtune"
    zero_at_perfection = False
    expected_failures = _DIVIDED


class TestNMTuneOfThePaper(LabelLossSuite):
    name = "nmtune"
    settings = {"reading": "paper"}
    zero_at_perfection = False
    expected_failures = _DIVIDED


class TestConsistencyAlone(LabelLossSuite):
    name = "nmtune"
    settings = {"covariance": 0.0, "dominance": 0.0}


class TestDominanceAlone(LabelLossSuite):
    name = "nmtune"
    settings = {"reading": "paper", "consistency": 0.0, "covariance": 0.0}
    zero_at_perfection = False
