"""A suite cannot be weakened in silence, and an expected failure has to fail."""

import pytest

from graftwork.testing import LossSuite

pytest_plugins = ["pytester"]


class Whole(LossSuite):
    name = "whole"


class Deleted(Whole):
    test_it_repeats = None


class Overridden(Whole):
    def test_it_repeats(self):
        """Always content."""


class Excused(Overridden):
    expected_failures = {"test_it_repeats": "draws noise until issue 9 is done"}


class Unreasoned(Overridden):
    expected_failures = {"test_it_repeats": " "}


class Misspelt(Whole):
    expected_failures = {"test_it_repeat": "draws noise"}


@pytest.mark.parametrize("suite", [Whole, Excused])
def test_whole_suite_passes(suite):
    suite().test_suite_is_whole()


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (Deleted, "'test_it_repeats' was deleted or overridden"),
        (Overridden, "'test_it_repeats' was deleted or overridden"),
        (Unreasoned, "say why"),
        (Misspelt, "did you mean 'test_it_repeats'"),
    ],
)
def test_weakened_suite_is_caught(suite, message):
    with pytest.raises(AssertionError, match=message):
        suite().test_suite_is_whole()


SUITE = """
from graftwork.testing.suite import Suite
import pytest

class TestMine(Suite):
    expected_failures = {{"test_one[b]": "not done", "test_two": "not done"}}

    @pytest.mark.parametrize("case", ["a", "b"])
    def test_one(self, case):
        assert case == {good!r}

    def test_two(self):
        assert {two}
"""


def test_expected_failures_are_strict(pytester):
    pytester.makepyfile(SUITE.format(good="a", two=False))
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=2, xfailed=2)
    pytester.makepyfile(SUITE.format(good="b", two=True))
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1, failed=3)
