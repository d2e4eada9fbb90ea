"""How many consecutive rows are worth one independent row."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from otel_mlmon.values import Floats

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
