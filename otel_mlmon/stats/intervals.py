"""Confidence intervals of the metrics that follow from sums. They agree with the tests of `degradation`: same laws, same errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_mlmon.stats.classification import class_estimate
from otel_mlmon.stats.estimate import Estimate
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
