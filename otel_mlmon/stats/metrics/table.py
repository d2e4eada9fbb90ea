"""The metrics by name: value, estimate, test of worsening, and which way is better.

`METRICS` follow from a window's sums, `ROW_METRICS` need its rows. A new metric is a function and a line here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from otel_mlmon.stats.inference.estimate import Better, Estimate, worse
from otel_mlmon.stats.inference.p_values import two_sided
from otel_mlmon.stats.inference.proportion import fisher_greater
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.stats.metrics.classification import (
    Confusion,
    accuracy,
    class_estimate,
    class_worse,
    f1,
    precision,
    recall,
    share_of,
)
from otel_mlmon.stats.metrics.influence import Influence
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes, both_numbers
from otel_mlmon.stats.metrics.ranking import average_precision, ndcg, ranked, roc_auc
from otel_mlmon.stats.metrics.regression import bias, mae, mape, quantile_loss, r2, rmse, wape
from otel_mlmon.stats.metrics.scores import brier, calibration_error, log_loss, usable
from otel_mlmon.values import PerformanceCounts


class Metric(NamedTuple):
    """A metric of a window's sums. `positive` is the class in question, or None for the mean over classes.

    - `value(counts, positive)`.
    - `estimate(counts, positive, confidence)`: the value with its two-sided interval.
    - `worse(counts, limit, positive)`: the one-sided p-value of "the metric is no worse than `limit`", the limit being
      known. NaN when the metric or its standard error is not known. It agrees with the interval.
    """

    value: Callable[[PerformanceCounts, str | None], float]
    estimate: Callable[[PerformanceCounts, str | None, float], Estimate]
    worse: Callable[[PerformanceCounts, float, str | None], float]
    better: Better


def _regression(estimate: Callable[[PerformanceCounts, float], Estimate], better: Better) -> Metric:
    return Metric(
        lambda counts, _: estimate(counts, _ANY).value,
        lambda counts, _, confidence: estimate(counts, confidence),
        lambda counts, limit, _: worse(estimate(counts, _ANY), limit, better),
        better,
    )


def _classification(method: str, value: Callable[[Confusion, str | None], float]) -> Metric:
    return Metric(
        lambda counts, positive: value(counts.confusion, positive),
        lambda counts, positive, confidence: class_estimate(method, counts.confusion, positive, confidence),
        lambda counts, limit, positive: class_worse(method, counts.confusion, limit, positive),
        "higher",
    )


_ANY: Final = 0.95  # a p-value does not depend on the confidence of the interval

METRICS: Final[Mapping[str, Metric]] = {
    "rmse": _regression(rmse, "lower"),
    "mae": _regression(mae, "lower"),
    "bias": _regression(bias, "lower"),
    "mape": _regression(mape, "lower"),
    "wape": _regression(wape, "lower"),
    "r2": _regression(r2, "higher"),
    "accuracy": _classification("accuracy", accuracy),
    "precision": _classification("precision", precision),
    "recall": _classification("recall", recall),
    "f1": _classification("f1", f1),
}


class RowMetric(NamedTuple):
    """A metric of rows: which way is better, the influence of each row, and the rows that count."""

    better: Better
    influence: Callable[[Outcomes, MetricOptions], Influence]
    rows: Callable[[Outcomes, MetricOptions], Mask]

    def estimate(self, outcomes: Outcomes, options: MetricOptions, confidence: float) -> Estimate:
        """Return the value with its two-sided interval of `confidence`."""
        return self.influence(outcomes, options).estimate(confidence)


ROW_METRICS: Final[Mapping[str, RowMetric]] = {
    "roc_auc": RowMetric("higher", roc_auc, usable),
    "average_precision": RowMetric("higher", average_precision, usable),
    "log_loss": RowMetric("lower", log_loss, usable),
    "brier": RowMetric("lower", brier, usable),
    "calibration_error": RowMetric("lower", calibration_error, usable),
    "quantile_loss": RowMetric("lower", quantile_loss, both_numbers),
    "ndcg": RowMetric("higher", ndcg, ranked),
}


_MEANS: Final[Mapping[str, Callable[[PerformanceCounts], tuple[float, float]]]] = {
    "bias": lambda counts: (counts.sum_error, counts.sum_squared_error),
    "mae": lambda counts: (counts.sum_abs_error, counts.sum_squared_error),
    "rmse": lambda counts: (counts.sum_squared_error, counts.sum_fourth_error),
}
"""Metrics that are means, or follow from one: its sum and its sum of squares."""


def worse_than_reference(
    method: str, window: PerformanceCounts, reference: PerformanceCounts, positive: str | None
) -> float:
    """Return the p-value of "no worse than the reference", both sides being samples; NaN when it is not defined.

    Means (bias, MAE, RMSE): Welch's test with the larger of both standard deviations on both sides, since a few small
    errors understate theirs; bias two-sided. Accuracy: Fisher's exact test. All others: the window's own test against
    the reference's value, without the reference's error.

    >>> before = PerformanceCounts(numeric=1000, sum_error=0.0, sum_squared_error=1000.0)
    >>> now = PerformanceCounts(numeric=100, sum_error=40.0, sum_squared_error=116.0)
    >>> worse_than_reference("bias", now, before, None) < 0.001
    True
    """
    if method == "accuracy":
        (right, rows), (before, reference_rows) = (share_of(method, s.confusion, None) for s in (window, reference))
        return fisher_greater(rows - right, rows, reference_rows - before, reference_rows) if rows else math.nan
    moments = _MEANS.get(method)
    if moments is None:
        return METRICS[method].worse(window, METRICS[method].value(reference, positive), positive)
    if window.numeric < 2 or reference.numeric < 2:
        return math.nan
    deviation = max(standard_deviation(*moments(side), side.numeric) for side in (window, reference))
    difference = mean(moments(window)[0], window.numeric) - mean(moments(reference)[0], reference.numeric)
    if not deviation > 0:
        return 1.0 if difference <= 0 else 0.0
    z = difference / (deviation * math.sqrt(1 / window.numeric + 1 / reference.numeric))
    both = two_sided(z)
    return both if method == "bias" else both / 2 if z > 0 else 1 - both / 2
