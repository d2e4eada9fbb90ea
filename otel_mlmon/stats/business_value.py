"""What a classifier's predictions are worth, from a matrix of values that the user states."""

from __future__ import annotations

import math
from collections.abc import Mapping

from otel_mlmon.stats.estimate import Estimate, estimated, unknown, worse
from otel_mlmon.stats.law import Law
from otel_mlmon.stats.performance import Confusion

Values = Mapping[tuple[str, str], float]
"""Value of one prediction by (truth, prediction); a pair that is missing is worth 0."""


def business_value(confusion: Confusion, values: Values, confidence: float = 0.95) -> Estimate:
    """Mean value per prediction, in the unit of `values`, with Student's law. NaN without rows, NaN ends for fewer than two.

    Values that are rare and large and did not occur are not in the interval; let the window be long enough for some of them.

    >>> e = business_value({("bad", "bad"): 10, ("bad", "good"): 5, ("good", "good"): 85}, {("bad", "good"): -100, ("good", "good"): 2})
    >>> round(e.value, 4), round(e.low, 2), round(e.high, 2)
    (-3.3, -7.73, 1.13)
    """
    worth = [(rows, float(values.get(pair, 0.0))) for pair, rows in confusion.items()]
    count = sum(rows for rows, _ in worth)
    if not count:
        return unknown()
    value = math.fsum(rows * each for rows, each in worth) / count
    if count < 2:
        return unknown(value, count)
    squares = math.fsum(rows * (each - value) ** 2 for rows, each in worth)
    error = math.sqrt(squares / (count - 1) / count)
    return estimated(value, error, count, Law(value, error, count - 1), confidence)


def business_value_worse(confusion: Confusion, limit: float, values: Values) -> float:
    """P-value of "the mean value is at least `limit`": t test. NaN for fewer than two rows.

    >>> round(business_value_worse({("a", "a"): 60, ("a", "b"): 40}, 0.7, {("a", "a"): 1.0}), 4)
    0.0225
    """
    return worse(business_value(confusion, values), limit, "higher")
