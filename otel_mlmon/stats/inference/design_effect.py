"""Design effects: how many rows carry the information of one independent row."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from otel_mlmon.stats.inference.estimate import Estimate, estimated
from otel_mlmon.stats.inference.summary import standard_deviation

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from otel_mlmon.values import Floats, PerformanceCounts


BLOCKS: Final = 20  # fewer blocks tell nothing
_STEP: Final = 10**0.5
_SMALLEST: Final = 100
_QUANTILES: Final = np.arange(1, 10) / 10
_CATEGORIES: Final = 10


def design_effects(indicators: npt.NDArray[np.bool_]) -> dict[int, float]:
    """Design effect of blocks of 100, 316, 1,000 … rows, up to a twentieth of all; {} for fewer rows than that takes.

    A variance between k blocks is known to a part in sqrt((k - 1) / 2). What is clearly above 1 is therefore raised by one such
    error: to be too sure costs false alarms.

    `indicators` are rows in the order of their time, and what is true of each (columns: see `of_numbers`, `of_categories`).

    >>> design_effects(of_categories(np.arange(4000, dtype=np.int32) // 1000 % 2))
    {100: 100}
    """
    found, block = {}, float(_SMALLEST)
    while round(block) * BLOCKS <= len(indicators):
        size = round(block)
        effect, error = design_effect(indicators, size), (2 / (len(indicators) // size - 1)) ** 0.5
        found[size] = round(min(size, effect * (1 + error) if effect > 1 + 2 * error else effect), 2)
        block *= _STEP
    return found


def design_effect(indicators: npt.NDArray[np.bool_], block: int) -> float:
    """Variance of the shares in blocks of `block` consecutive rows, over what it would be if rows were independent.

    1 for independent rows, more where neighbours are alike: hours of one day, customers of one campaign. The mean over all
    columns, weighed by their variance, is what chi-squared tests are too sure by (Rao and Scott, Annals of Statistics 12, 1984);
    the variance between blocks is that of batch means (Kish, Survey Sampling, 1965). At least 1.

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
    """Design effect of so many rows: that of the next larger block that was measured, or of the largest; 1 where none were.

    Blocks do not begin where hours and days do, so that one of the window's own size would have less in common.

    >>> design_effect_of({100: 2.0, 1_000: 4.0}, 200), design_effect_of({}, 200)
    (4.0, 1.0)
    """
    if not measured:
        return 1.0
    return max(1.0, measured[min((size for size in measured if size >= rows), default=max(measured))])


def neighbours(measured: Mapping[int, float], rows: int) -> float:
    """Correlation of the shares in two blocks of `rows` rows that follow each other, 0 to 1.

    Two of them are one block of twice the size: where the design effect grows with the size, they have something in common.

    >>> neighbours({100: 2.0, 1_000: 20.0}, 300), neighbours({100: 2.0, 1_000: 2.0}, 300), neighbours({}, 300)
    (1.0, 0.0, 0.0)
    """
    sizes = sorted(measured)
    if len(sizes) < 2:
        return 0.0
    i = min(bisect_left(sizes, rows, 1), len(sizes) - 1)
    before, after = (max(1.0, measured[size]) for size in sizes[i - 1 : i + 1])
    slope = math.log(after / before) / math.log(sizes[i] / sizes[i - 1])
    return min(1.0, max(0.0, 2**slope - 1))


def of_numbers(values: Floats) -> npt.NDArray[np.bool_]:
    """Of each finite number, whether it is at most each of the deciles.

    >>> of_numbers(np.arange(10.0)).sum(axis=0).tolist()
    [1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    x = values[np.isfinite(values)]
    if not len(x):
        return np.zeros((0, 1), np.bool_)
    found: npt.NDArray[np.bool_] = x[:, None] <= np.quantile(x, _QUANTILES)
    return found


def of_tails(values: Floats) -> npt.NDArray[np.bool_]:
    """Of each finite number, whether it is in the lower, and in the upper hundredth.

    >>> of_tails(np.arange(500.0)).sum(axis=0).tolist()
    [5, 5]
    """
    x = values[np.isfinite(values)]
    if not len(x):
        return np.zeros((0, 2), np.bool_)
    low, high = np.quantile(x, (0.01, 0.99))
    found: npt.NDArray[np.bool_] = np.stack([x < low, x > high], axis=1)
    return found


def of_categories(codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Of each code that is not negative, whether it is each of the most frequent ones.

    >>> of_categories(np.array([7, 7, -1, 3], np.int32)).tolist()
    [[True, False], [True, False], [False, True]]
    """
    present = codes[codes >= 0]
    counts = np.bincount(present, minlength=1)
    most = np.argsort(-counts, kind="stable")[: min(_CATEGORIES, int((counts > 0).sum()))]
    found: npt.NDArray[np.bool_] = present[:, None] == most
    return found


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

    >>> from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
    >>> e = estimated(2.0, 0.5, 101, SamplingDistribution(2.0, 0.5, 100), 0.95)
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
