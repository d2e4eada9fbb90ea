"""Design effects and effective sample sizes: neighbouring rows that are alike carry less information.

A design effect of 10 says that ten rows carry the information of one independent row (Kish, Survey Sampling, 1965).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.estimate import Estimate, estimated
from otel_mlmon.stats.inference.summary import standard_deviation
from otel_mlmon.values import Floats, PerformanceCounts

BLOCKS: Final = 20  # with fewer blocks their variance is unknown
_STEP: Final = 10**0.5
_SMALLEST: Final = 100
_QUANTILES: Final = np.arange(1, 10) / 10
_CATEGORIES: Final = 10
_FEWEST: Final = 2.0
_OF_SCORES: Final = frozenset({"roc_auc", "average_precision", "log_loss", "brier", "calibration_error"})
# The quantity that a metric adds up over rows. Metrics of scores are measured under their own names.
_SUMMED: Final = {
    "rmse": "squared_error",
    "r2": "squared_error",
    "mae": "absolute_error",
    "mape": "absolute_error",
    "wape": "absolute_error",
    "quantile_loss": "absolute_error",
    "bias": "error",
    "accuracy": "zero_one",
    "precision": "zero_one",
    "recall": "zero_one",
    "f1": "zero_one",
    "business_value": "zero_one",
}


def design_effects(indicators: npt.NDArray[np.bool_]) -> dict[int, float]:
    """Return design effects of blocks of 100, 316, 1,000 … rows, up to a twentieth of all rows.

    {} for fewer than 2,000 rows. `indicators` are rows in the order of time × properties (see `of_numbers`,
    `of_categories`). The variance between k blocks has a relative error of sqrt(2 / (k - 1)); an effect clearly above 1
    is raised by one such error, since an effect that is too small costs false alarms.

    >>> design_effects(of_categories(np.arange(4000, dtype=np.int32) // 1000 % 2))
    {100: 100}
    """
    effects, block = {}, float(_SMALLEST)
    while round(block) * BLOCKS <= len(indicators):
        size = round(block)
        effect, error = design_effect(indicators, size), (2 / (len(indicators) // size - 1)) ** 0.5
        effects[size] = round(min(size, effect * (1 + error) if effect > 1 + 2 * error else effect), 2)
        block *= _STEP
    return effects


def design_effect(indicators: npt.NDArray[np.bool_], block: int) -> float:
    """Return the variance of shares in blocks of `block` consecutive rows over that of independent rows, at least 1.

    More than 1 when neighbours are alike: hours of one day, customers of one campaign. Columns are averaged, weighted
    by their variance: the factor by which chi-squared tests are too sure (Rao and Scott, Annals of Statistics 12,
    1984). The variance between blocks is that of batch means.

    >>> rng = np.random.default_rng(0)
    >>> day = np.repeat(rng.normal(size=1000), 24)
    >>> 15 < design_effect(of_numbers(day), 240) < 30
    True
    """
    count = len(indicators) // block
    if count < 2:
        return 1.0
    shares = indicators[: count * block].reshape(count, block, -1).mean(axis=1)
    mean = shares.mean(axis=0)
    expected = float((mean * (1 - mean)).sum()) / block
    return max(1.0, float(shares.var(axis=0, ddof=1).sum()) / expected) if expected > 0 else 1.0


def design_effect_of(measured: Mapping[int, float], rows: int) -> float:
    """Return the design effect of `rows` rows: that of the next larger measured block, or of the largest; 1 for none.

    Blocks do not begin where hours and days begin, so a block of the window's own size would be too little alike.

    >>> design_effect_of({100: 2.0, 1_000: 4.0}, 200), design_effect_of({}, 200)
    (4.0, 1.0)
    """
    if not measured:
        return 1.0
    return max(1.0, measured[min((size for size in measured if size >= rows), default=max(measured))])


def correlation_of_neighbours(measured: Mapping[int, float], rows: int) -> float:
    """Return the correlation of the shares in two adjacent blocks of `rows` rows, 0 to 1.

    Two of them are one block of twice the size: they are correlated when the design effect grows with the size.

    >>> flat, growing = {100: 2.0, 1_000: 2.0}, {100: 2.0, 1_000: 20.0}
    >>> [correlation_of_neighbours(measured, 300) for measured in (growing, flat, {})]
    [1.0, 0.0, 0.0]
    """
    sizes = sorted(measured)
    if len(sizes) < 2:
        return 0.0
    i = min(bisect_left(sizes, rows, 1), len(sizes) - 1)
    before, after = (max(1.0, measured[size]) for size in sizes[i - 1 : i + 1])
    slope = math.log(after / before) / math.log(sizes[i] / sizes[i - 1])
    return min(1.0, max(0.0, 2**slope - 1))


def of_numbers(values: Floats) -> npt.NDArray[np.bool_]:
    """Return for each finite number whether it is at most each decile (rows × 9).

    >>> of_numbers(np.arange(10.0)).sum(axis=0).tolist()
    [1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    x = values[np.isfinite(values)]
    if not len(x):
        return np.zeros((0, 1), np.bool_)
    indicators: npt.NDArray[np.bool_] = x[:, None] <= np.quantile(x, _QUANTILES)
    return indicators


def of_tails(values: Floats) -> npt.NDArray[np.bool_]:
    """Return for each finite number whether it is in the lower and in the upper hundredth (rows × 2).

    >>> of_tails(np.arange(500.0)).sum(axis=0).tolist()
    [5, 5]
    """
    x = values[np.isfinite(values)]
    if not len(x):
        return np.zeros((0, 2), np.bool_)
    low, high = np.quantile(x, (0.01, 0.99))
    indicators: npt.NDArray[np.bool_] = np.stack([x < low, x > high], axis=1)
    return indicators


def of_categories(codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return for each code that is not negative whether it is each of the most frequent codes.

    >>> of_categories(np.array([7, 7, -1, 3], np.int32)).tolist()
    [[True, False], [True, False], [False, True]]
    """
    present = codes[codes >= 0]
    counts = np.bincount(present, minlength=1)
    most = np.argsort(-counts, kind="stable")[: min(_CATEGORIES, int((counts > 0).sum()))]
    indicators: npt.NDArray[np.bool_] = present[:, None] == most
    return indicators


def metric_design_effects(method: str, measured: Mapping[str, Mapping[int, float]]) -> Mapping[int, float]:
    """Return the design effects of a metric by number of consecutive rows; {} when there are none.

    `measured` has them by quantity (`squared_error`, `zero_one` …). A metric without a quantity of its own (an SQL
    aggregate) gets those of the quantity with the largest one.

    >>> measured = {"squared_error": {100: 2.0}, "error": {100: 3.0}}
    >>> [metric_design_effects(metric, measured) for metric in ("rmse", "sql", "mae")]
    [{100: 2.0}, {100: 3.0}, {}]
    """
    quantity = _SUMMED.get(method, method)
    if quantity in measured or method in _SUMMED or method in _OF_SCORES:
        return measured.get(quantity, {})
    return max(measured.values(), key=lambda sizes: max(sizes.values(), default=1.0), default={})


def sampled_design_effect(measured: Mapping[int, float], rows: float, of: float) -> float:
    """Return the design effect of a random sample of `rows` of `of` consecutive rows (rows <= of).

    Any two rows are correlated as before; fewer rows have less in common.

    >>> effects = {100: 5.0}
    >>> [round(sampled_design_effect(*case), 2) for case in ((effects, 100, 100), (effects, 50, 100), ({}, 50, 100))]
    [5.0, 2.98, 1.0]
    """
    if rows >= of or rows <= 1:
        return design_effect_of(measured, math.ceil(of)) if rows > 1 else 1.0
    return 1 + (design_effect_of(measured, math.ceil(of)) - 1) * (rows - 1) / (of - 1)


def window_design_effect(
    method: str, effect: float, window: PerformanceCounts, reference: PerformanceCounts | None
) -> float:
    """Return the window's design effect, when the reference's is `effect`.

    The variance that neighbours share stays as large as in the reference: (effect - 1) variances of its rows. The
    window's own variance is added to it, so errors three times as large hide nine times the shared part. At least two
    effective rows are left, since fewer have no variance.

    >>> before = PerformanceCounts(with_truth=1000, numeric=1000, sum_error=0.0, sum_squared_error=1000.0)
    >>> now = PerformanceCounts(with_truth=100, numeric=100, sum_error=0.0, sum_squared_error=900.0)
    >>> [round(window_design_effect("bias", 10.0, window, before), 2) for window in (before, now)]
    [10.0, 1.99]
    """
    if effect <= 1:
        return 1.0
    own, then = _variance(method, window), math.nan if reference is None else _variance(method, reference)
    if own > 0 and then >= 0:
        effect = 1 + (effect - 1) * then / own
    return max(1.0, min(effect, window.with_truth / _FEWEST))


def _variance(method: str, counts: PerformanceCounts) -> float:
    """Return the variance over rows of the quantity that the metric adds up; NaN when the sums do not tell."""
    quantity, n = _SUMMED.get(method, ""), counts.numeric
    if quantity == "zero_one":
        rows = sum(counts.confusion.values())
        wrong = sum(n for (truth, predicted), n in counts.confusion.items() if truth != predicted)
        return (wrong + 1) * (rows - wrong + 1) / (rows + 2) ** 2 if rows else math.nan
    sums = {
        "error": (counts.sum_error, counts.sum_squared_error),
        "absolute_error": (counts.sum_abs_error, counts.sum_squared_error),
        "squared_error": (counts.sum_squared_error, counts.sum_fourth_error),
    }.get(quantity)
    return math.nan if sums is None else standard_deviation(*sums, n) ** 2


def effective_counts(counts: PerformanceCounts, effect: float) -> PerformanceCounts:
    """Return the sums of the effective rows: each sum and count over the design effect.

    Every metric keeps its value; its intervals and tests become those of so many independent rows. Counts of rows need
    not be whole any more.

    >>> effective_counts(PerformanceCounts(numeric=30, sum_error=6.0, confusion={("a", "a"): 9}), 10.0).sum_error
    0.6
    """
    if effect <= 1:
        return counts
    sums: dict[str, Any] = {f.name: getattr(counts, f.name) / effect for f in fields(counts) if f.name != "confusion"}
    confusion: dict[tuple[str, str], Any] = {pair: rows / effect for pair, rows in counts.confusion.items()}
    return replace(counts, **sums, confusion=confusion)


def effective_estimate(estimate: Estimate, effect: float, confidence: float) -> Estimate:
    """Return the estimate with the variance of the effective rows, and its interval of `confidence`.

    >>> from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
    >>> e = estimated(2.0, 0.5, 101, SamplingDistribution(2.0, 0.5, 100), 0.95)
    >>> effective_estimate(e, 4.0, 0.95).standard_error
    1.0
    """
    before = estimate.distribution
    if effect <= 1 or before is None or math.isnan(before.standard_error):
        return estimate
    root = math.sqrt(effect)
    distribution = before._replace(
        standard_error=before.standard_error * root, df=max(1.0, before.df / effect), trials=before.trials / effect
    )
    return estimated(estimate.value, estimate.standard_error * root, estimate.rows, distribution, confidence)
