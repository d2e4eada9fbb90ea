"""How sure: one-sided p-values that a window's performance is worse than a given value, from its sums alone.

The value is taken as known. Where the sums do not hold the moment that a test needs, an approximation that errs towards
"not worse" takes its place; each says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_mlmon.stats.class_degradation import accuracy_worse, f1_worse, precision_worse, recall_worse
from otel_mlmon.stats.performance import mae, mape, mean_error, r2, rmse
from otel_mlmon.stats.student import t_tail
from otel_mlmon.stats.summary import mean, standard_deviation

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts


def mae_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the mean |error| is at most `limit`": t test, variance of |e| from the sums of |e| and e².

    Exact enough for large samples; errors are skewed to the right, for which the test errs towards "not worse".
    NaN for fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> round(mae_worse(PerformanceCounts(numeric=100, sum_abs_error=120.0, sum_squared_error=243.0), 1.0), 4)
    0.0241
    """
    spread = standard_deviation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    return _mean_exceeds(mae(counts), spread, counts.numeric, limit)


def bias_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the mean error is between -limit and limit": t tests of both ends, added. NaN for fewer than two
    rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> round(bias_worse(PerformanceCounts(numeric=100, sum_error=-20.0, sum_squared_error=103.0), 0.0), 4)
    0.0482
    """
    spread = standard_deviation(counts.sum_error, counts.sum_squared_error, counts.numeric)
    size = abs(mean_error(counts))
    both = _mean_exceeds(size, spread, counts.numeric, limit) + _mean_exceeds(size, spread, counts.numeric, -limit)
    return math.nan if math.isnan(both) else min(1.0, both)


def rmse_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the root mean squared error is at most `limit`": t test of the mean of e².

    Variance of e² from the sums of e² and e⁴. Heavy tails make the test err towards "not worse", as in `mae_worse`.
    NaN for fewer than two rows, and when the sum of e⁴ is less than that of e² allows, that is, was never kept.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0)
    >>> round(rmse_worse(counts, 0.9), 6)
    1.2e-05
    """
    return _mean_exceeds(rmse(counts) ** 2, _spread_of_squares(counts), counts.numeric, limit * limit)


def mape_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "the mean |error / truth| is at most `limit`": t test.

    The sums hold no squares of relative errors. Their coefficient of variation c is taken as 1, that of exponential
    errors, or as that of independent |error| and lognormal |truth|, 1 + c² = (1 + c_error²) (1 + c_truth²), where it
    is more. Too sure of itself when truth comes close to 0, which makes the metric itself a poor choice. NaN for
    fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(
    ...     numeric=400, sum_abs_error=400.0, sum_squared_error=600.0, sum_abs_truth=3e3, sum_squared_truth=3e4,
    ...     relative_rows=400, sum_abs_relative_error=48.0,
    ... )
    >>> round(mape_worse(counts, 0.1), 4)
    0.0005
    """
    of_error = _one_plus_variation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    of_truth = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
    value = mape(counts)
    return _mean_exceeds(value, value * math.sqrt(max(1.0, of_error * of_truth - 1)), counts.relative_rows, limit)


def r2_worse(counts: PerformanceCounts, limit: float) -> float:
    """P-value of "R² is at least `limit`": t test of 1 - R² = mean e² / variance of the truth, delta method.

    The fourth moment of the truth, which the sums do not hold, is that of lognormal truth where all has one sign
    (prices, counts, durations), else of normal truth; that errors and truth mostly are large together, which would
    lower the variance, is left out. NaN where R² or `rmse_worse` is.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts = PerformanceCounts(
    ...     numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0, sum_squared_truth=2500.0, sum_abs_truth=1.0
    ... )
    >>> round(r2_worse(counts, 0.7), 6)
    4.2e-05
    """
    ratio, square = 1 - r2(counts), rmse(counts) ** 2
    if math.isnan(ratio):
        return math.nan
    kurtosis = 3.0
    if abs(counts.sum_truth) >= counts.sum_abs_truth * (1 - 1e-9) > 0:
        w = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
        kurtosis = w**4 + 2 * w**3 + 3 * w**2 - 3  # lognormal, w = exp(sigma²)
    variation = _spread_of_squares(counts) / square if square > 0 else 0.0
    return _mean_exceeds(ratio, ratio * math.hypot(variation, math.sqrt(kurtosis - 1)), counts.numeric, 1 - limit)


def _one_plus_variation(total: float, total_squares: float, count: int) -> float:
    """Mean square over squared mean, that is 1 + (coefficient of variation)²; at least 1, also when all is 0."""
    return max(1.0, count * total_squares / (total * total)) if total else 1.0


def _spread_of_squares(counts: PerformanceCounts) -> float:
    """Standard deviation of e²; NaN when the sum of e⁴ cannot belong to that of e²."""
    least = mean(counts.sum_squared_error, counts.numeric) * counts.sum_squared_error
    if not counts.sum_fourth_error >= least * (1 - 1e-9):  # Cauchy-Schwarz, but for rounding
        return math.nan
    return standard_deviation(counts.sum_squared_error, counts.sum_fourth_error, counts.numeric)


def _mean_exceeds(value: float, spread: float, rows: int, limit: float) -> float:
    """One-sample t test that the true mean is above `limit`; NaN for fewer than two rows."""
    if rows < 2 or math.isnan(spread):
        return math.nan
    return t_tail(value - limit, spread / math.sqrt(rows), rows - 1)


DegradationTest = Callable[["PerformanceCounts", float, "str | None"], float]
"""(counts, value to be no worse than, positive class or None) to p-value."""

DEGRADATION_TESTS: dict[str, DegradationTest] = {
    "rmse": lambda counts, limit, _positive: rmse_worse(counts, limit),
    "mae": lambda counts, limit, _positive: mae_worse(counts, limit),
    "bias": lambda counts, limit, _positive: bias_worse(counts, limit),
    "mape": lambda counts, limit, _positive: mape_worse(counts, limit),
    "r2": lambda counts, limit, _positive: r2_worse(counts, limit),
    "accuracy": lambda counts, limit, positive: accuracy_worse(counts.confusion, limit, positive),
    "precision": lambda counts, limit, positive: precision_worse(counts.confusion, limit, positive),
    "recall": lambda counts, limit, positive: recall_worse(counts.confusion, limit, positive),
    "f1": lambda counts, limit, positive: f1_worse(counts.confusion, limit, positive),
}
