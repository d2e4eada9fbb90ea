"""Estimates and tests of the metrics that follow from sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_mlmon.stats.inference.estimate import Estimate, worse
from otel_mlmon.stats.inference.proportion import fisher_greater
from otel_mlmon.stats.inference.student import two_sided
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.stats.metrics.classification import (
    accuracy_worse,
    class_estimate,
    f1_worse,
    precision_worse,
    recall_worse,
)
from otel_mlmon.stats.metrics.performance import PERFORMANCE_METRICS
from otel_mlmon.stats.metrics.regression import (
    bias_estimate,
    mae_estimate,
    mape_estimate,
    r2_estimate,
    rmse_estimate,
    wape_estimate,
)

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts


_REGRESSION: dict[str, Callable[[PerformanceCounts, float], Estimate]] = {
    "rmse": rmse_estimate,
    "mae": mae_estimate,
    "bias": bias_estimate,
    "mape": mape_estimate,
    "wape": wape_estimate,
    "r2": r2_estimate,
}


def estimate(method: str, counts: PerformanceCounts, positive: str | None, confidence: float) -> Estimate:
    """The metric `method` of `performance.PERFORMANCE_METRICS` with its two-sided interval and its standard error.

    Raises ValueError unless 0 < confidence < 1, KeyError for an unknown method.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = estimate("accuracy", PerformanceCounts(confusion={("a", "a"): 8, ("a", "b"): 2}), None, 0.95)
    >>> round(e.low, 4), round(e.high, 4)
    (0.4902, 0.9433)
    """
    of_sums = _REGRESSION.get(method)
    if of_sums is not None:
        return of_sums(counts, confidence)
    return class_estimate(method, counts.confusion, positive, confidence)


def interval(method: str, counts: PerformanceCounts, positive: str | None, confidence: float) -> tuple[float, float]:
    """Low and high end of `estimate`; (NaN, NaN) where the metric or its standard error is not known.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> interval("mae", PerformanceCounts(), None, 0.95)
    (nan, nan)
    """
    found = estimate(method, counts, positive, confidence)
    return found.low, found.high


def mae_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the mean |error| is at most `limit`": t test.

    Exact enough for large samples; errors are skewed to the right, for which the test errs towards "not worse".
    NaN for fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> round(mae_worse(PerformanceCounts(numeric=100, sum_abs_error=120.0, sum_squared_error=243.0), 1.0), 4)
    0.0241
    """
    return worse(mae_estimate(counts), limit, "lower")


def bias_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the mean error is between -limit and limit": t tests of both ends, added. NaN for fewer than two
    rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> round(bias_worse(PerformanceCounts(numeric=100, sum_error=-20.0, sum_squared_error=103.0), 0.0), 4)
    0.0482
    """
    return worse(bias_estimate(counts), limit, "lower")


def rmse_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the root mean squared error is at most `limit`": t test of the mean of e².

    Heavy tails make the test err towards "not worse", as in `mae_worse`. NaN where the interval of the RMSE is.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0)
    >>> round(rmse_worse(counts, 0.9), 6)
    1.2e-05
    """
    return worse(rmse_estimate(counts), limit, "lower")


def mape_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the mean |error / truth| is at most `limit`": t test. NaN for fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(
    ...     numeric=400, sum_abs_error=400.0, sum_squared_error=600.0, sum_abs_truth=3e3, sum_squared_truth=3e4,
    ...     relative_rows=400, sum_abs_relative_error=48.0,
    ... )
    >>> round(mape_worse(counts, 0.1), 4)
    0.0005
    """
    return worse(mape_estimate(counts), limit, "lower")


def wape_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "sum |error| is at most `limit` × sum |truth|": t test. NaN for fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(
    ...     numeric=400, sum_abs_error=400.0, sum_squared_error=600.0, sum_abs_truth=4e3, sum_squared_truth=4.4e4
    ... )
    >>> round(wape_worse(counts, 0.09), 4)
    0.0051
    """
    return worse(wape_estimate(counts), limit, "lower")


def r2_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "R² is at least `limit`": t test of 1 - R². NaN where R² or `rmse_worse` is.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(
    ...     numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0, sum_squared_truth=2500.0, sum_abs_truth=1.0
    ... )
    >>> round(r2_worse(counts, 0.7), 6)
    4.2e-05
    """
    return worse(r2_estimate(counts), limit, "higher")


DegradationTest = Callable[["PerformanceCounts", float, "str | None"], float]
"""(counts, value to be no worse than, positive class or None) to p-value."""

DEGRADATION_TESTS: dict[str, DegradationTest] = {
    "rmse": lambda counts, limit, _positive: rmse_worse(counts, limit),
    "mae": lambda counts, limit, _positive: mae_worse(counts, limit),
    "bias": lambda counts, limit, _positive: bias_worse(counts, limit),
    "mape": lambda counts, limit, _positive: mape_worse(counts, limit),
    "wape": lambda counts, limit, _positive: wape_worse(counts, limit),
    "r2": lambda counts, limit, _positive: r2_worse(counts, limit),
    "accuracy": lambda counts, limit, positive: accuracy_worse(counts.confusion, limit, positive),
    "precision": lambda counts, limit, positive: precision_worse(counts.confusion, limit, positive),
    "recall": lambda counts, limit, positive: recall_worse(counts.confusion, limit, positive),
    "f1": lambda counts, limit, positive: f1_worse(counts.confusion, limit, positive),
}


def worse_than_reference(
    method: str, window: PerformanceCounts, reference: PerformanceCounts, positive: str | None
) -> float:
    """P-value of "no worse than the reference". Means (bias, MAE, RMSE): Welch's test with the larger of the two spreads on both
    sides, since a few small errors understate it; bias two-sided. Accuracy: Fisher's exact test. Everything else: the window's
    own test against the reference's value, with the reference's error left out. NaN where the metric is not defined.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> before = PerformanceCounts(numeric=1000, sum_error=0.0, sum_squared_error=1000.0)
    >>> now = PerformanceCounts(numeric=100, sum_error=40.0, sum_squared_error=116.0)
    >>> worse_than_reference("bias", now, before, None) < 0.001
    True
    """
    if method == "accuracy":
        counts = [(_right(side), sum(side.confusion.values())) for side in (window, reference)]
        (right, rows), (before, reference_rows) = counts
        return fisher_greater(rows - right, rows, reference_rows - before, reference_rows) if rows else math.nan
    moments = {
        "bias": lambda c: (c.sum_error, c.sum_squared_error),
        "mae": lambda c: (c.sum_abs_error, c.sum_squared_error),
        "rmse": lambda c: (c.sum_squared_error, c.sum_fourth_error),
    }.get(method)
    if moments is None:
        return DEGRADATION_TESTS[method](window, PERFORMANCE_METRICS[method].function(reference, positive), positive)
    if window.numeric < 2 or reference.numeric < 2:
        return math.nan
    spread = max(standard_deviation(*moments(side), side.numeric) for side in (window, reference))
    difference = mean(moments(window)[0], window.numeric) - mean(moments(reference)[0], reference.numeric)
    if not spread > 0:
        return 1.0 if difference <= 0 else 0.0
    z = difference / (spread * math.sqrt(1 / window.numeric + 1 / reference.numeric))
    both = two_sided(z)
    return both if method == "bias" else both / 2 if z > 0 else 1 - both / 2


def _right(counts: PerformanceCounts) -> int:
    return sum(n for (truth, prediction), n in counts.confusion.items() if truth == prediction)
