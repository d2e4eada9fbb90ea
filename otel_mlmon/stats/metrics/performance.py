"""Performance metrics from the sums that a window keeps of its predictions and their ground truth.

Classes that appear neither in truth nor in predictions do not exist here; NaN always means undefined, never good.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from otel_mlmon.stats.inference.summary import mean, standard_deviation

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts

Confusion = Mapping[tuple[str, str], int]
"""Rows per (truth, prediction) pair of class names."""


def rmse(counts: PerformanceCounts) -> float:
    """Root mean squared error, in the unit of the prediction; NaN without numeric rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> rmse(PerformanceCounts(numeric=4, sum_squared_error=36.0))
    3.0
    """
    return math.sqrt(mean(counts.sum_squared_error, counts.numeric))


def mae(counts: PerformanceCounts) -> float:
    """Mean absolute error, in the unit of the prediction; NaN without numeric rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> mae(PerformanceCounts(numeric=4, sum_abs_error=10.0))
    2.5
    """
    return mean(counts.sum_abs_error, counts.numeric)


def mean_error(counts: PerformanceCounts) -> float:
    """Mean of prediction - truth: above 0 the model predicts too much; NaN without numeric rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> mean_error(PerformanceCounts(numeric=4, sum_error=-6.0))
    -1.5
    """
    return mean(counts.sum_error, counts.numeric)


def bias(counts: PerformanceCounts) -> float:
    """Size of the mean error, whatever its sign (`mean_error` has it), so that lower is better in both directions.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> bias(PerformanceCounts(numeric=4, sum_error=-6.0))
    1.5
    """
    return abs(mean_error(counts))


def mape(counts: PerformanceCounts) -> float:
    """Mean of |error / truth| over rows whose truth is not 0, as a fraction (0.1 is 10 %); NaN without such rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> mape(PerformanceCounts(relative_rows=4, sum_abs_relative_error=1.0))
    0.25
    """
    return mean(counts.sum_abs_relative_error, counts.relative_rows)


def wape(counts: PerformanceCounts) -> float:
    """Sum of |error| over the sum of |truth|, as a fraction (0.1 is 10 %); NaN where that is 0.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> wape(PerformanceCounts(numeric=4, sum_abs_error=1.0, sum_abs_truth=8.0))
    0.125
    """
    return counts.sum_abs_error / counts.sum_abs_truth if counts.numeric and counts.sum_abs_truth else math.nan


def r2(counts: PerformanceCounts) -> float:
    """Coefficient of determination, 1 - sum e² / sum (truth - mean truth)²: 1 is perfect, 0 is no better than the mean.

    NaN for fewer than two numeric rows and where the truth does not vary.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> round(r2(PerformanceCounts(numeric=3, sum_squared_error=2.0, sum_truth=6.0, sum_squared_truth=14.0)), 9)
    0.0
    """
    spread = standard_deviation(counts.sum_truth, counts.sum_squared_truth, counts.numeric)
    if not spread > 0:
        return math.nan
    return 1 - counts.sum_squared_error / (spread * spread * (counts.numeric - 1))


def accuracy(confusion: Confusion, positive: str | None = None) -> float:
    """Share of predictions that are right. `positive` makes no difference.

    >>> accuracy({("yes", "yes"): 8, ("yes", "no"): 2})
    0.8
    """
    right = sum(rows for (truth, prediction), rows in confusion.items() if truth == prediction)
    return mean(right, sum(confusion.values()))


def precision(confusion: Confusion, positive: str | None = None) -> float:
    """Share of the predictions of a class that are right: of `positive`, else the mean over predicted classes.

    A class never predicted has no precision and is left out of the mean (scikit-learn's `zero_division=nan`).

    >>> precision({("yes", "yes"): 8, ("no", "yes"): 2, ("no", "no"): 10}, "yes")
    0.8
    """
    sums = class_sums(confusion)
    return _of_classes({name: (s.right, s.predicted) for name, s in sums.items()}, positive)


def recall(confusion: Confusion, positive: str | None = None) -> float:
    """Share of the rows of a class that are found: of `positive`, else the mean over classes of the truth.

    >>> recall({("yes", "yes"): 8, ("no", "yes"): 2, ("no", "no"): 10})
    0.9166666666666667
    """
    sums = class_sums(confusion)
    return _of_classes({name: (s.right, s.true) for name, s in sums.items()}, positive)


def f1(confusion: Confusion, positive: str | None = None) -> float:
    """2 TP / (2 TP + FP + FN) of `positive`, else its mean over all classes (macro).

    >>> round(f1({("yes", "yes"): 8, ("no", "yes"): 2, ("no", "no"): 10}, "yes"), 6)
    0.888889
    """
    sums = class_sums(confusion)
    return _of_classes({name: (2 * s.right, s.predicted + s.true) for name, s in sums.items()}, positive)


class ClassSums(NamedTuple):
    """Rows of one class."""

    right: int
    true: int
    predicted: int


def class_sums(confusion: Confusion) -> dict[str, ClassSums]:
    """Sums per class that appears in truth or predictions; ValueError when a count is negative.

    >>> class_sums({("a", "a"): 3, ("a", "b"): 1})
    {'a': ClassSums(right=3, true=4, predicted=3), 'b': ClassSums(right=0, true=0, predicted=1)}
    """
    true: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    for (truth, prediction), rows in confusion.items():
        if rows < 0:
            raise ValueError(f"rows must not be negative, found {rows} for truth {truth!r}, prediction {prediction!r}")
        true[truth] += rows
        predicted[prediction] += rows
    names = [name for name in {**true, **predicted} if true[name] or predicted[name]]
    return {name: ClassSums(confusion.get((name, name), 0), true[name], predicted[name]) for name in names}


def _of_classes(parts: Mapping[str, tuple[int, int]], positive: str | None) -> float:
    if positive is not None:
        return mean(*parts.get(positive, (0, 0)))
    defined = [part / whole for part, whole in parts.values() if whole]
    return mean(sum(defined), len(defined))


class PerformanceMetric(NamedTuple):
    """A metric of (counts, positive class or None), and which direction is better."""

    function: Callable[[PerformanceCounts, str | None], float]
    better: Literal["lower", "higher"]


PERFORMANCE_METRICS: dict[str, PerformanceMetric] = {
    "rmse": PerformanceMetric(lambda counts, _positive: rmse(counts), "lower"),
    "mae": PerformanceMetric(lambda counts, _positive: mae(counts), "lower"),
    "bias": PerformanceMetric(lambda counts, _positive: bias(counts), "lower"),
    "mape": PerformanceMetric(lambda counts, _positive: mape(counts), "lower"),
    "wape": PerformanceMetric(lambda counts, _positive: wape(counts), "lower"),
    "r2": PerformanceMetric(lambda counts, _positive: r2(counts), "higher"),
    "accuracy": PerformanceMetric(lambda counts, positive: accuracy(counts.confusion, positive), "higher"),
    "precision": PerformanceMetric(lambda counts, positive: precision(counts.confusion, positive), "higher"),
    "recall": PerformanceMetric(lambda counts, positive: recall(counts.confusion, positive), "higher"),
    "f1": PerformanceMetric(lambda counts, positive: f1(counts.confusion, positive), "higher"),
}
