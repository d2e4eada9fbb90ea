"""Whether the losses of some rows are larger than those of the others, for many groups of rows at once.

Two laws. Losses that are 0 or 1 are counted. All others are ranked and given the scores that squared normal errors of that
rank would have, so that no tail is too heavy: without a difference, the scores of n rows sum up to a chi-square of n degrees of
freedom (Klotz, Nonparametric tests for scale, Annals of Mathematical Statistics 33, 1962). That a few of thousands of groups
are looked for is what these tests are for: a t test needs the groups' own spread, which grows with the very losses in question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats


_ROUNDS: Final = 10


def scores(ratios: Floats) -> Floats:
    """Squared normal scores by rank; equal ratios have the mean rank.

    >>> scores(np.array([10.0, 0.1, 1e9])).round(2).tolist()
    [0.45, 0.1, 1.32]
    """
    from scipy.special import ndtri
    from scipy.stats import rankdata

    ranks = rankdata(ratios)
    return np.asarray(ndtri(0.5 + ranks / (2 * (len(ratios) + 1))) ** 2, dtype=np.float64)


def by_label(values: Floats, codes: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """`values` without their noise: a product of one factor per label of each column, with the same sum over the rows of each label.

    Iterative proportional fitting (Deming and Stephan, Annals of Mathematical Statistics 11, 1940). Values are not negative.

    >>> by_label(np.array([1.0, 3.0, 4.0, 4.0]), [np.array([0, 0, 1, 1])]).tolist()
    [2.0, 2.0, 4.0, 4.0]
    """
    found = np.full(len(values), float(values.mean()))
    for _ in range(_ROUNDS):
        for column in codes:
            wanted, now = np.bincount(column, weights=values), np.bincount(column, weights=found)
            found *= np.divide(wanted, now, out=np.ones_like(now), where=now > 0)[column]
    return found


def larger(
    sums: Floats,
    rows: Floats,
    total: float,
    squares: float,
    n: int,
    by: Floats | float = 1.0,
    worth: Floats | float = 1.0,
) -> Floats:
    """P-values of sums of scores over `rows` rows each, drawn from `n` whose scores and their squares have these totals.

    The hypothesis is that these rows' scores are at most `by` times the usual ones; each is worth
    `worth` independent rows. Gamma law of the mean and the variance of a draw without replacement, which is the chi-square where the draw is small.

    >>> all_scores = scores(np.arange(10_000.0))
    >>> whole = float(all_scores.sum()), float((all_scores**2).sum())
    >>> larger(np.array([200.0, 338.0]), np.array([200.0, 200.0]), *whole, 10_000).round(9).tolist()
    [0.48351544, 2e-09]
    """
    from scipy.special import gammaincc

    mean = total / n
    spread = max(squares / n - mean * mean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = rows * spread * (n - rows) / max(n - 1, 1)
        scale = variance / (rows * mean)
        found = gammaincc(worth * rows * mean / scale, worth * np.maximum(sums, 0.0) / (by * scale))
    return np.where(variance > 0, found, 1.0)


def more_often(hits: Floats, rows: Floats, probability: Floats) -> Floats:
    """P-values of at least so many hits in so many rows, each with this probability on average (binomial, exact; by the incomplete beta function, so that
    neither needs to be whole).

    Rows that differ in their probability only make it smaller: Hoeffding, Annals of Mathematical Statistics 27 (1956).

    >>> more_often(np.array([8.0, 0.0]), np.array([10.0, 10.0]), np.array([0.5, 0.5])).round(4).tolist()
    [0.0547, 1.0]
    """
    from scipy.special import betainc

    p = np.clip(probability, 0.0, 1.0)
    return np.where(hits > 0, betainc(np.maximum(hits, 1e-9), np.maximum(rows - hits, 0.0) + 1, p), 1.0)


def gain_of_scale(sums: Floats, rows: Floats, total: float, n: int) -> Floats:
    """Log-likelihood ratio of two scales, of these rows and of the others, against one; 0 where these have the smaller one.

    Kulldorff's scan statistic (Communications in Statistics 26, 1997) for normal errors: a group that holds all of what is
    worse and nothing else has the largest one, be it small or large.

    >>> gain_of_scale(np.array([300.0, 300.0]), np.array([100.0, 300.0]), 1200.0, 1000).round(1).tolist()
    [36.2, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, outside = sums / rows, (total - sums) / (n - rows)
        gain = (n * np.log(total / n) - rows * np.log(inside) - (n - rows) * np.log(outside)) / 2
    return np.where(inside > outside, np.nan_to_num(gain, nan=0.0, posinf=np.inf), 0.0)


def gain_of_rate(hits: Floats, expected: Floats, total: float) -> Floats:
    """Kulldorff's scan statistic for counts: `hits` of `total` in a group where `expected` of as many would be usual.

    >>> gain_of_rate(np.array([30.0, 10.0]), np.array([10.0, 10.0]), 100.0).round(1).tolist()
    [15.4, 0.0]
    """
    from scipy.special import xlogy

    with np.errstate(divide="ignore", invalid="ignore"):
        gain = xlogy(hits, hits / expected) + xlogy(total - hits, (total - hits) / (total - expected))
    return np.where(hits > expected, np.nan_to_num(gain, nan=0.0, posinf=np.inf), 0.0)


def mean_above_zero(sums: Floats, squares: Floats, rows: Floats) -> Floats:
    """P-values of one-sample t tests of a mean above 0, from sums and sums of squares over two or more rows.

    >>> mean_above_zero(np.array([10.0, 10.0]), np.array([101.0, 1.0]), np.array([100.0, 100.0])).round(4).tolist()
    [0.1611, 0.0]
    """
    from scipy.special import stdtr

    freedom = np.maximum(rows - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(squares - sums * sums / rows, 0.0) / freedom)
        t = sums / (spread * np.sqrt(rows))
    p: npt.NDArray[np.float64] = stdtr(freedom, -np.nan_to_num(t, nan=0.0))
    return p
