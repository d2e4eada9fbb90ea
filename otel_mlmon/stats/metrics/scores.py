"""Metrics of predicted probabilities (log loss, Brier score, calibration error), their rows and classes."""

from __future__ import annotations

import math
import sys
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.influence import UNDEFINED, Influence, mean_of
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes
from otel_mlmon.values import Floats

BINS: Final = 10


class Scored(NamedTuple):
    """Rows with scores, one column per class; a metric of one class has one column."""

    classes: tuple[str, ...]
    truth: npt.NDArray[np.int64]  # column of the true class; -1 for a class without a column
    scores: Floats  # rows × classes

    def is_class(self, column: int) -> Mask:
        """Return which rows are truly of that class."""
        members: Mask = self.truth == column
        return members


def known_classes(outcomes: Outcomes) -> tuple[str, ...]:
    """Return the classes that have scores or came true, in order of name.

    >>> known_classes(Outcomes.of_classes(["no", "yes"], {"yes": [0.1, 0.8]}))
    ('no', 'yes')
    """
    codes = np.unique(outcomes.true_class[outcomes.true_class >= 0])
    return tuple(sorted({*_scored_classes(outcomes), *(outcomes.classes[code] for code in codes.tolist())}))


def positive_class(outcomes: Outcomes, options: MetricOptions) -> str | None:
    """Return the class that the metric is about, or None for all classes.

    That is `options.positive`; else, of two classes or one, the one with scores (if both have scores, the last in order
    of name).

    >>> positive_class(Outcomes.of_classes(["no", "yes"], {"no": [0.1, 0.8]}), MetricOptions())
    'no'
    """
    if options.positive is not None:
        return options.positive
    known = known_classes(outcomes)
    with_scores = _scored_classes(outcomes)
    return with_scores[-1] if with_scores and len(known) <= 2 else None


def scored(outcomes: Outcomes, options: MetricOptions, *, probabilities: bool = False) -> Scored:
    """Return the `usable` rows.

    Raises ValueError when there are scores but none of the class in question, and, with `probabilities`, for scores
    outside 0 to 1.

    >>> scored(Outcomes.of_classes(["no", "yes"], {"yes": [0.25, 0.75]}), MetricOptions("no")).scores.tolist()
    [[0.75], [0.25]]
    """
    rows = usable(outcomes, options)
    positive = positive_class(outcomes, options)
    known = known_classes(outcomes)
    wanted = (positive,) if positive is not None else _scored_classes(outcomes)
    columns = [_column(outcomes, name, known)[rows] for name in wanted]
    scores = np.column_stack(columns) if columns else np.zeros((int(rows.sum()), 0))
    if probabilities:
        for name, column in zip(wanted, scores.T, strict=True):
            outside = column[(column < 0) | (column > 1)]
            if len(outside):
                raise ValueError(f"scores must be probabilities, 0 to 1, found {outside[0]} for class {name!r}")
    place = {name: i for i, name in enumerate(wanted)}
    column_of = np.array([*(place.get(name, -1) for name in outcomes.classes), -1], np.int64)
    return Scored(wanted, column_of[outcomes.true_class[rows]], scores)


def usable(outcomes: Outcomes, options: MetricOptions) -> Mask:
    """Return the rows with a known true class and finite scores of the classes that the metric needs.

    >>> usable(Outcomes.of_classes(["no", "yes"], {"yes": [0.25, float("nan")]}), MetricOptions()).tolist()
    [True, False]
    """
    mask: Mask = outcomes.true_class >= 0
    names = _scored_classes(outcomes)
    if not names:
        return np.zeros(len(outcomes), np.bool_)
    positive = positive_class(outcomes, options)
    known = known_classes(outcomes)
    for name in names if positive is None else (positive,):
        mask = mask & np.isfinite(_column(outcomes, name, known))
    return mask


def _scored_classes(outcomes: Outcomes) -> tuple[str, ...]:
    return tuple(sorted(name for name, column in outcomes.scores.items() if np.isfinite(column).any()))


def _column(outcomes: Outcomes, name: str, known: tuple[str, ...]) -> Floats:
    """Return the scores of the class; if only the other of two classes has scores, 1 - its scores."""
    column = outcomes.scores.get(name)
    if column is not None and np.isfinite(column).any():
        return column
    have = _scored_classes(outcomes)
    if len(have) == 1 and set(known) <= {name, *have}:
        return 1 - outcomes.scores[have[0]]
    raise ValueError(f"no scores of class {name!r}; there are some of {', '.join(map(repr, have)) or 'none'}")


def brier(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Return the mean squared distance of the probabilities from the truth, 1 or 0.

    Of one class (`positive_class`) 0 to 1; of all classes the sum over classes, 0 to 2 (Brier, Monthly Weather Review
    78, 1950). That is scikit-learn's `brier_score_loss` with `scale_by_half="auto"`. A class without scores has
    probability 0. Raises ValueError for scores that are no probabilities.

    >>> round(brier(Outcomes.of_classes(["no", "yes"], {"yes": [0.1, 0.8]}), MetricOptions()).value, 4)
    0.025
    """
    rows = scored(outcomes, options, probabilities=True)
    if not rows.classes:
        return mean_of(np.zeros(0), "positive")
    squares = (rows.scores**2).sum(axis=1)
    missed = np.where(rows.truth >= 0, 1.0, 0.0 if len(rows.classes) == 1 else 1.0)
    return mean_of(squares - 2 * _of_truth(rows) + missed, "positive")


def log_loss(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Return the mean of -log(probability of the true class), natural logarithm.

    Probabilities are kept a rounding error away from 0 and 1, as in scikit-learn. It is that of one class against the
    others (`positive_class`), else of all classes. A class without scores has probability 0. Raises ValueError for
    scores that are no probabilities.

    >>> round(log_loss(Outcomes.of_classes(["no", "yes"], {"yes": [0.1, 0.8]}), MetricOptions()).value, 4)
    0.1643
    """
    rows = scored(outcomes, options, probabilities=True)
    if len(rows.classes) == 1:
        given = np.where(rows.is_class(0), rows.scores[:, 0], 1 - rows.scores[:, 0])
    else:
        given = _of_truth(rows)
    tiny = sys.float_info.epsilon
    return mean_of(-np.log(np.clip(given, tiny, 1 - tiny)), "positive")


def _of_truth(rows: Scored) -> Floats:
    """Return the probability of each row's true class; 0 for a class without a column."""
    padded = np.column_stack([rows.scores, np.zeros(len(rows.scores))])  # truth -1 is the last column
    given: Floats = padded[np.arange(len(padded)), rows.truth]
    return given


def calibration_error(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Return the expected calibration error: the mean over rows of |share that came true - mean probability| by bin.

    Ten equally wide bins, [0, 0.1) to [0.9, 1] (Naeini, Cooper and Hauskrecht, AAAI 2015). Of one class
    (`positive_class`) its probability; of more, the highest one and whether that class came true (Guo et al., ICML
    2017). Raises ValueError for scores that are no probabilities.

    Chance alone makes the error of a calibrated model greater than 0: a bin's |mean| has a folded normal distribution.
    The lower end of the interval and the test of "worse" are of the error less an upper bound of the part of chance;
    the upper end is that of the error itself.

    >>> sure = Outcomes.of_classes(["yes"] * 60 + ["no"] * 40, {"yes": [0.75] * 100})
    >>> e = calibration_error(sure, MetricOptions()).estimate(0.95)
    >>> round(e.value, 4), round(e.low, 4), round(e.high, 4)
    (0.15, 0.0498, 0.2477)
    """
    rows = scored(outcomes, options, probabilities=True)
    n = len(rows.scores)
    if not n or not rows.classes:
        return UNDEFINED
    column = np.argmax(rows.scores, axis=1)
    probability = rows.scores[np.arange(n), column]
    excess = (rows.truth == column) - probability
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    size = np.bincount(bins, minlength=BINS)
    total = np.bincount(bins, weights=excess, minlength=BINS)
    value = float(np.abs(total).sum() / n)
    if n < 2:
        return Influence(value, np.zeros(n), SamplingDistribution(value, math.nan, math.nan))
    of_rows = (np.sign(total)[bins] * excess - value) / math.sqrt(n * (n - 1))
    mean = np.divide(total, size, out=np.zeros(BINS), where=size > 0)
    within = np.bincount(bins, weights=(excess - mean[bins]) ** 2, minlength=BINS)
    expected = np.bincount(bins, weights=probability * (1 - probability), minlength=BINS)  # of a calibrated model
    variance = np.maximum(within, expected)
    between = float(size @ (np.abs(mean) - value) ** 2)
    chance = float(_folding(np.abs(total), np.sqrt(variance)).sum() / n)
    error = math.sqrt((float(variance.sum()) + between) / n / max(n - 1, 1))
    return Influence(value, of_rows, SamplingDistribution(value - chance, error, n - 1, "share", slack=chance))


def _folding(size: Floats, deviation: Floats) -> Floats:
    """Return an upper bound of mean |X| - |mean X| for a normal X that was seen once at ±`size`.

    The mean is taken 1.5 standard deviations nearer to 0.
    """
    from scipy.special import ndtr

    least = np.maximum(0.0, size - 1.5 * deviation)
    ratio = np.divide(least, deviation, out=np.full_like(least, np.inf), where=deviation > 0)
    below = np.where(deviation > 0, 2 * least * ndtr(-ratio), 0.0)
    return deviation * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2) - below
