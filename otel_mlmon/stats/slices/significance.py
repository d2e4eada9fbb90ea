"""Tests of larger losses in some rows than in the others, for many groups of rows at once.

Losses of 0 or 1 are counted. All other losses are ranked; each rank gets the score of a squared normal error of that
rank, so that no tail is too heavy. Without a difference, the scores of n rows add up to chi-squared with n degrees of
freedom (Klotz, Nonparametric tests for scale, Annals of Mathematical Statistics 33, 1962). A t test would need the
groups' own variance, which grows with the losses in question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.metrics.ranking import midranks
from otel_mlmon.values import Floats

_ROUNDS: Final = 10


def scores(ratios: Floats) -> Floats:
    """Return squared normal scores by rank; equal ratios have the mean rank.

    >>> scores(np.array([10.0, 0.1, 1e9])).round(2).tolist()
    [0.45, 0.1, 1.32]
    """
    from scipy.special import ndtri

    ranks = midranks(ratios)
    return np.asarray(ndtri(0.5 + ranks / (2 * (len(ratios) + 1))) ** 2, dtype=np.float64)


def by_label(values: Floats, codes: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """Return smoothed `values`: a product of one factor per label of each column, with the same sum over each label.

    Iterative proportional fitting (Deming and Stephan, Annals of Mathematical Statistics 11, 1940). Values must not be
    negative.

    >>> by_label(np.array([1.0, 3.0, 4.0, 4.0]), [np.array([0, 0, 1, 1])]).tolist()
    [2.0, 2.0, 4.0, 4.0]
    """
    smoothed = np.full(len(values), float(values.mean()))
    for _ in range(_ROUNDS):
        for column in codes:
            wanted, now = np.bincount(column, weights=values), np.bincount(column, weights=smoothed)
            smoothed *= np.divide(wanted, now, out=np.ones_like(now), where=now > 0)[column]
    return smoothed


def larger(
    sums: Floats,
    rows: Floats,
    total: float,
    squares: float,
    n: int,
    by: Floats | float = 1.0,
    effective: Floats | float = 1.0,
) -> Floats:
    """Return p-values of "these rows' scores are at most `by` times the usual ones", from sums over `rows` rows each.

    They are drawn from `n` rows; `total` and `squares` are the sums of their scores and squared scores. Each row counts
    as `effective` independent rows. Gamma distribution with mean and variance of a draw without replacement; for a
    small draw it is chi-squared.

    >>> all_scores = scores(np.arange(10_000.0))
    >>> whole = float(all_scores.sum()), float((all_scores**2).sum())
    >>> larger(np.array([200.0, 338.0]), np.array([200.0, 200.0]), *whole, 10_000).round(9).tolist()
    [0.48351544, 2e-09]
    """
    from scipy.special import gammaincc

    mean = total / n
    of_score = max(squares / n - mean * mean, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = rows * of_score * (n - rows) / max(n - 1, 1)
        scale = variance / (rows * mean)
        p_values = gammaincc(effective * rows * mean / scale, effective * np.maximum(sums, 0.0) / (by * scale))
    return np.where(variance > 0, p_values, 1.0)


def more_often(hits: Floats, rows: Floats, probability: Floats) -> Floats:
    """Return P(at least so many hits in so many rows) with this mean probability: binomial, exact.

    By the incomplete beta function, so that neither count needs to be whole. Rows with unequal probabilities only make
    it smaller: Hoeffding, Annals of Mathematical Statistics 27 (1956).

    >>> more_often(np.array([8.0, 0.0]), np.array([10.0, 10.0]), np.array([0.5, 0.5])).round(4).tolist()
    [0.0547, 1.0]
    """
    from scipy.special import betainc

    p = np.clip(probability, 0.0, 1.0)
    return np.where(hits > 0, betainc(np.maximum(hits, 1e-9), np.maximum(rows - hits, 0.0) + 1, p), 1.0)


def gain_of_scale(sums: Floats, rows: Floats, total: float, n: int) -> Floats:
    """Return the log-likelihood ratio of two scales, these rows' and the others', against one; 0 if theirs is smaller.

    Kulldorff's scan statistic (Communications in Statistics 26, 1997) for normal errors. It is largest for a group of
    all worse rows and no others, be it small or large.

    >>> gain_of_scale(np.array([300.0, 300.0]), np.array([100.0, 300.0]), 1200.0, 1000).round(1).tolist()
    [36.2, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inside, outside = sums / rows, (total - sums) / (n - rows)
        gain = (n * np.log(total / n) - rows * np.log(inside) - (n - rows) * np.log(outside)) / 2
    return np.where(inside > outside, np.nan_to_num(gain, nan=0.0, posinf=np.inf), 0.0)


def gain_of_rate(hits: Floats, expected: Floats, total: float) -> Floats:
    """Return Kulldorff's scan statistic for counts: `hits` of `total` in a group where `expected` would be usual.

    >>> gain_of_rate(np.array([30.0, 10.0]), np.array([10.0, 10.0]), 100.0).round(1).tolist()
    [15.4, 0.0]
    """
    from scipy.special import xlogy

    with np.errstate(divide="ignore", invalid="ignore"):
        gain = xlogy(hits, hits / expected) + xlogy(total - hits, (total - hits) / (total - expected))
    return np.where(hits > expected, np.nan_to_num(gain, nan=0.0, posinf=np.inf), 0.0)


def mean_above_zero(sums: Floats, squares: Floats, rows: Floats) -> Floats:
    """Return p-values of one-sample t tests of a mean above 0, from sums and sums of squares over two or more rows.

    >>> mean_above_zero(np.array([10.0, 10.0]), np.array([101.0, 1.0]), np.array([100.0, 100.0])).round(4).tolist()
    [0.1611, 0.0]
    """
    from scipy.special import stdtr

    df = np.maximum(rows - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(np.maximum(squares - sums * sums / rows, 0.0) / df)
        t = sums / (deviation * np.sqrt(rows))
    p: Floats = stdtr(df, -np.nan_to_num(t, nan=0.0))
    return p
