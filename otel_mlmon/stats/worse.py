"""How sure: is a window's performance worse than the reference's, both being samples?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otel_mlmon.stats.degradation import DEGRADATION_TESTS
from otel_mlmon.stats.normal import two_sided
from otel_mlmon.stats.performance import PERFORMANCE_METRICS
from otel_mlmon.stats.proportion import fisher_greater
from otel_mlmon.stats.summary import mean, standard_deviation

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts


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
