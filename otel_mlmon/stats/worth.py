"""What a figure of outcomes may count rows for, where the errors of neighbours are alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

from otel_mlmon.stats.design_effect import design_effect_of
from otel_mlmon.stats.estimate import Estimate, estimated
from otel_mlmon.stats.summary import standard_deviation

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts

# What the metrics that follow from sums add up. The others add up what the reference keeps by their own names.
_ADDED_UP: Final = {
    "rmse": "squared_error", "r2": "squared_error", "mae": "absolute_error", "mape": "absolute_error", "wape": "absolute_error",
    "quantile_loss": "absolute_error", "bias": "error", "accuracy": "zero_one", "precision": "zero_one",
    "recall": "zero_one", "f1": "zero_one", "business_value": "zero_one",
}  # fmt: skip


def effects_of(method: str, measured: Mapping[str, Mapping[int, float]]) -> Mapping[int, float]:
    """Design effects of a metric by number of consecutive rows, of those `measured` for errors; {} where there are none.

    A metric of which nothing was measured (an SQL aggregate) is taken for the one whose largest is the largest.

    >>> measured = {"squared_error": {100: 2.0}, "error": {100: 3.0}}
    >>> effects_of("rmse", measured), effects_of("sql", measured), effects_of("mae", measured)
    ({100: 2.0}, {100: 3.0}, {})
    """
    known = _ADDED_UP.get(method, method)
    if known in measured or method in _ADDED_UP or method in _BY_ROWS:
        return measured.get(known, {})
    return max(measured.values(), key=lambda sizes: max(sizes.values(), default=1.0), default={})


_FEWEST: Final = 2.0
_BY_ROWS: Final = frozenset({"roc_auc", "average_precision", "log_loss", "brier", "calibration_error"})


def thinned(measured: Mapping[int, float], rows: float, of: float) -> float:
    """Design effect of `rows` rows that are known, at random, of `of` consecutive ones (both counts; rows <= of).

    The correlation of any two is that of the consecutive ones; fewer of them have less in common.

    >>> thinned({100: 5.0}, 100, 100), round(thinned({100: 5.0}, 50, 100), 2), thinned({}, 50, 100)
    (5.0, 2.98, 1.0)
    """
    if rows >= of or rows <= 1:
        return design_effect_of(measured, math.ceil(of)) if rows > 1 else 1.0
    return 1 + (design_effect_of(measured, math.ceil(of)) - 1) * (rows - 1) / (of - 1)


def window_effect(method: str, effect: float, window: PerformanceCounts, reference: PerformanceCounts | None) -> float:
    """How many rows of the window are worth one, where in the reference `effect` of them are.

    What neighbours have in common is as large as it always was, and that is (effect - 1) variances of the reference's rows; to it
    comes the variance of the window's own. Were its errors three times as large, nine times the common part would hide it. At least
    two rows are left: with fewer there is no variance, and nothing to be sure by.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> before = PerformanceCounts(with_truth=1000, numeric=1000, sum_error=0.0, sum_squared_error=1000.0)
    >>> now = PerformanceCounts(with_truth=100, numeric=100, sum_error=0.0, sum_squared_error=900.0)
    >>> window_effect("bias", 10.0, before, before), round(window_effect("bias", 10.0, now, before), 2)
    (10.0, 1.99)
    """
    if effect <= 1:
        return 1.0
    own, then = _variance(method, window), math.nan if reference is None else _variance(method, reference)
    if own > 0 and then >= 0:
        effect = 1 + (effect - 1) * then / own
    return max(1.0, min(effect, window.with_truth / _FEWEST))


def _variance(method: str, counts: PerformanceCounts) -> float:
    """Of what the metric adds up, among rows; NaN where the sums do not say."""
    added, n = _ADDED_UP.get(method, ""), counts.numeric
    if added == "zero_one":
        rows = sum(counts.confusion.values())
        wrong = sum(n for (truth, predicted), n in counts.confusion.items() if truth != predicted)
        return (wrong + 1) * (rows - wrong + 1) / (rows + 2) ** 2 if rows else math.nan
    sums = {
        "error": (counts.sum_error, counts.sum_squared_error),
        "absolute_error": (counts.sum_abs_error, counts.sum_squared_error),
        "squared_error": (counts.sum_squared_error, counts.sum_fourth_error),
    }.get(added)
    return math.nan if sums is None else standard_deviation(*sums, n) ** 2


def counts_worth(counts: PerformanceCounts, effect: float) -> PerformanceCounts:
    """The sums as of independent rows: a tenth of everything, where ten rows are worth one. Every metric stays what it is, and
    its intervals and tests are those of so many rows. What are counts of rows become numbers that need not be whole.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> counts_worth(PerformanceCounts(numeric=30, sum_error=6.0, confusion={("a", "a"): 9}), 10.0).sum_error
    0.6
    """
    if effect <= 1:
        return counts
    sums: dict[str, Any] = {f.name: getattr(counts, f.name) / effect for f in fields(counts) if f.name != "confusion"}
    confusion: dict[tuple[str, str], Any] = {pair: rows / effect for pair, rows in counts.confusion.items()}
    return replace(counts, **sums, confusion=confusion)


def estimate_worth(found: Estimate, effect: float, confidence: float) -> Estimate:
    """The estimate, and its interval of `confidence`, with as much variance as that of so many fewer rows.

    >>> from otel_mlmon.stats.law import Law
    >>> e = estimated(2.0, 0.5, 101, Law(2.0, 0.5, 100), 0.95)
    >>> estimate_worth(e, 4.0, 0.95).standard_error
    1.0
    """
    if effect <= 1 or found.law is None or math.isnan(found.law.spread):
        return found
    root = math.sqrt(effect)
    law = found.law._replace(
        spread=found.law.spread * root, freedom=max(1.0, found.law.freedom / effect), trials=found.law.trials / effect
    )
    return estimated(found.value, found.standard_error * root, found.rows, law, confidence)
