"""Expected calibration error: whether what is said to be 70 % sure comes true in 70 % of cases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.stats.law import Law
from otel_mlmon.stats.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.row_metrics.influence import UNDEFINED, Influence
from otel_mlmon.stats.row_metrics.scored import scored

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

BINS: Final = 10


def calibration_error(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean over rows of |share that came true - mean probability| of the row's bin, of ten equally wide ones, [0, 0.1) to
    [0.9, 1] (Naeini, Cooper and Hauskrecht, AAAI 2015). Of one class (`scored.positive_class`) its probability; with more the
    highest one, and whether that class came true (Guo et al., ICML 2017). Not in scikit-learn. Raises ValueError for scores that
    are no probabilities.

    Chance alone makes a calibrated model's error greater than 0: a bin's |mean| has a folded normal law. The lower end of the
    interval, and the test of "worse", are of the error without what chance adds, at most, in each bin; the upper end is that of
    the error as it is.

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> sure = labelled(["yes"] * 60 + ["no"] * 40, {"yes": [0.75] * 100})
    >>> e = calibration_error(sure, MetricOptions()).estimate(0.95)
    >>> round(e.value, 4), round(e.low, 4), round(e.high, 4)
    (0.15, 0.0498, 0.2477)
    """
    rows = scored(outcomes, options, probabilities=True)
    n = len(rows.scores)
    if not n or not rows.classes:
        return UNDEFINED
    column = np.argmax(rows.scores, axis=1)
    said = rows.scores[np.arange(n), column]
    excess = (rows.truth == column) - said
    bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    size = np.bincount(bins, minlength=BINS)
    total = np.bincount(bins, weights=excess, minlength=BINS)
    value = float(np.abs(total).sum() / n)
    if n < 2:
        return Influence(value, np.zeros(n), Law(value, math.nan, math.nan))
    of_rows = (np.sign(total)[bins] * excess - value) / math.sqrt(n * (n - 1))
    mean = np.divide(total, size, out=np.zeros(BINS), where=size > 0)
    within = np.bincount(bins, weights=(excess - mean[bins]) ** 2, minlength=BINS)
    expected = np.bincount(bins, weights=said * (1 - said), minlength=BINS)  # of a model that is calibrated
    variance = np.maximum(within, expected)
    between = float(size @ (np.abs(mean) - value) ** 2)
    chance = float(_folding(np.abs(total), np.sqrt(variance)).sum() / n)
    spread = math.sqrt((float(variance.sum()) + between) / n / max(n - 1, 1))
    return Influence(value, of_rows, Law(value - chance, spread, n - 1, "share", slack=chance))


def _folding(size: Floats, spread: Floats) -> Floats:
    """How much more than |mean| the mean of |X| is at most, X normal, seen once at ±`size`: as if the mean were 1.5
    standard deviations nearer to 0.
    """
    from scipy.special import ndtr

    least = np.maximum(0.0, size - 1.5 * spread)
    ratio = np.divide(least, spread, out=np.full_like(least, np.inf), where=spread > 0)
    return spread * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) - np.where(
        spread > 0, 2 * least * ndtr(-ratio), 0.0
    )
