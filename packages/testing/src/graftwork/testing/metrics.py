"""Checks of a metric."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from graftwork.nn.metric import Metric
from graftwork.testing.plugins import PluginSuite
from graftwork.testing.toy_evaluation import Outcome, ToyEvaluation


class MetricSuite(PluginSuite):
    """Checks of one metric on made-up samples.

    ```python
    class TestKPS(MetricSuite):
        name = "kps"
        range = (0.0, 1.0)
        perfect = {"unchanged": 1.0}
    ```
    """

    kind = "metrics"
    base = Metric

    range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Smallest and largest value of the number that bears the metric's name."""
    perfect: ClassVar[Mapping[Outcome, float]] = {}
    """Its value when the adapter leaves every sample "unchanged", or has "reproduced" the
    reference images."""
    tolerance: ClassVar[float] = 1e-5
    """Largest gap to the value in `perfect`."""

    def metric(self) -> Metric:
        """The metric under test."""
        metric: Metric = self.record.load()(self.parsed())
        return metric

    def evaluation(self, outcome: Outcome = "ordinary", *, features: bool = True) -> Any:
        """What the metric is asked about; override for another kind of task."""
        return ToyEvaluation(outcome, features=features)

    def value(self, outcome: Outcome) -> float:
        """The number that bears the metric's own name."""
        return float(next(iter(self.metric()(self.evaluation(outcome)).values())))

    def test_values_are_finite_numbers(self) -> None:
        """The result maps names to finite floats; the first name is the metric's own.

        When it fails: convert tensors with `float()`, and put the main number first.
        """
        result = self.metric()(self.evaluation())
        assert result, "no value; return at least one"
        assert next(iter(result)) == self.name, f"the first value is not called '{self.name}'"
        for name, value in result.items():
            assert type(value) is float, f"'{name}' is a {type(value).__name__}; use float()"
            assert math.isfinite(value), f"'{name}' is {value}; guard the division"

    def test_it_repeats(self) -> None:
        """The same evaluation gives the same numbers, and torch's generator stays where it is.

        When it fails: draw nothing at random, or from a generator of the metric's own.
        """
        before = torch.get_rng_state()
        first = dict(self.metric()(self.evaluation()))
        assert dict(self.metric()(self.evaluation())) == first, "two results for one evaluation"
        assert torch.equal(before, torch.get_rng_state()), "it moved torch's global generator"

    def test_it_is_in_range(self) -> None:
        """The main number lies in the declared range, whatever the adapter did.

        When it fails: correct `range` in the suite, or the metric.
        """
        low, high = self.range
        outcomes: tuple[Outcome, ...] = ("ordinary", "unchanged", "reproduced")
        for outcome in outcomes:
            value, slack = self.value(outcome), self.tolerance
            assert low - slack <= value <= high + slack, (
                f"{value} when '{outcome}', outside {low}..{high}; correct `range` or the metric"
            )

    def test_backbone_without_features(self) -> None:
        """It works when the backbone has no feature extractor.

        When it fails: fall back to an extractor of the metric's own when `features` gives None.
        """
        result = self.metric()(self.evaluation(features=False))
        assert all(math.isfinite(value) for value in result.values()), "not finite; fall back"

    def test_perfect_case(self) -> None:
        """The declared perfect case has its value, and the ordinary case is worse.

        When it fails: correct the value in `perfect`, the metric, or `higher_is_better`.
        """
        sign = 1 if self.record.load().higher_is_better else -1
        for outcome, expected in self.perfect.items():
            value = self.value(outcome)
            assert abs(value - expected) <= self.tolerance, f"{value} instead of {expected}"
            ordinary = self.value("ordinary")
            assert sign * value > sign * ordinary, (
                f"{value} when perfect and {ordinary} ordinarily; see higher_is_better"
            )

    def test_direction_is_declared_once(self) -> None:
        """Record and class agree on which way is up.

        When it fails: give `higher_is_better` the same value in both.
        """
        declared = getattr(self.record, "higher_is_better", None)
        own = self.record.load().higher_is_better
        assert declared == own, f"higher_is_better: {declared} in the record, {own} in the class"
