"""How sure: one-sided p-values that a window's performance is worse than a given value, from its sums alone.

The value is taken as known. The regression metrics' tests are those of `regression`, the classifiers' those of
`class_degradation`; the intervals of `intervals` agree with both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_mlmon.stats.class_degradation import accuracy_worse, f1_worse, precision_worse, recall_worse
from otel_mlmon.stats.estimate import worse
from otel_mlmon.stats.regression import (
    bias_estimate,
    mae_estimate,
    mape_estimate,
    r2_estimate,
    rmse_estimate,
    wape_estimate,
)

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts


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
