"""Metrics of predicted probabilities, and the rows and classes that they use."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.influence import UNDEFINED, Influence, mean_of
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


class Scored(NamedTuple):
    """Rows with scores. One column per class: of one class alone where the metric is about that one."""

    classes: tuple[str, ...]
    truth: npt.NDArray[np.int64]  # column of the true class; -1 for a class that is none of `classes`
    scores: Floats  # rows × classes

    def is_class(self, column: int) -> Mask:
        """Which rows are truly of that class."""
        found: Mask = self.truth == column
        return found


def known_classes(outcomes: Outcomes) -> tuple[str, ...]:
    """The classes that have scores or came true, in order of name.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
    >>> known_classes(labelled(["no", "yes"], {"yes": [0.1, 0.8]}))
    ('no', 'yes')
    """
    codes = np.unique(outcomes.true_class[outcomes.true_class >= 0])
    return tuple(sorted({*_scored_classes(outcomes), *(outcomes.classes[code] for code in codes.tolist())}))


def positive_class(outcomes: Outcomes, options: MetricOptions) -> str | None:
    """The class that the metric is about: `options.positive`; else of two classes (or of one) the one that has scores, the last
    in order of name if both have; None with more classes, which are then all meant.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
    >>> positive_class(labelled(["no", "yes"], {"no": [0.1, 0.8]}), MetricOptions())
    'no'
    """
    if options.positive is not None:
        return options.positive
    known = known_classes(outcomes)
    scored = _scored_classes(outcomes)
    return scored[-1] if scored and len(known) <= 2 else None


def scored(outcomes: Outcomes, options: MetricOptions, *, probabilities: bool = False) -> Scored:
    """The rows that `usable` names. Raises ValueError when there are scores, but none that tell of the class in question, and
    when `probabilities` are asked for and scores are not between 0 and 1.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
    >>> scored(labelled(["no", "yes"], {"yes": [0.25, 0.75]}), MetricOptions("no")).scores.tolist()
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
    """Rows whose true class is known and whose scores, those that the metric needs, are finite.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
    >>> usable(labelled(["no", "yes"], {"yes": [0.25, float("nan")]}), MetricOptions()).tolist()
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
    """Scores of the class; of the one of two classes that has none, 1 - the other's."""
    found = outcomes.scores.get(name)
    if found is not None and np.isfinite(found).any():
        return found
    have = _scored_classes(outcomes)
    if len(have) == 1 and set(known) <= {name, *have}:
        return 1 - outcomes.scores[have[0]]
    raise ValueError(f"no scores of class {name!r}; there are some of {', '.join(map(repr, have)) or 'none'}")


def brier(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Of one class (`scored.positive_class`) the mean of (probability - 1 if it came true, else 0)², 0 to 1; of all classes the
    mean over rows of the sum of these over classes, 0 to 2 (Brier, Monthly Weather Review 78, 1950). That is what scikit-learn's
    `brier_score_loss` gives with `scale_by_half="auto"`. A class that has no scores was given none. Raises ValueError for
    scores that are no probabilities.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
    >>> round(brier(labelled(["no", "yes"], {"yes": [0.1, 0.8]}), MetricOptions()).value, 4)
    0.025
    """
    rows = scored(outcomes, options, probabilities=True)
    if not rows.classes:
        return mean_of(np.zeros(0), "positive")
    squares = (rows.scores**2).sum(axis=1)
    padded = np.column_stack([rows.scores, np.zeros(len(squares))])  # truth -1 is the last column
    known = rows.truth >= 0
    given = padded[np.arange(len(padded)), rows.truth]
    missed = np.where(known, 1.0, 0.0 if len(rows.classes) == 1 else 1.0)
    return mean_of(squares - 2 * given + missed, "positive")


def log_loss(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean of -log(probability of what came true), natural logarithm, probabilities kept a rounding error away from 0 and 1, as
    scikit-learn does: of one class against the others (`scored.positive_class`), else of all classes. A class that has no scores
    was given none. Raises ValueError for scores that are no probabilities.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
    >>> round(log_loss(labelled(["no", "yes"], {"yes": [0.1, 0.8]}), MetricOptions()).value, 4)
    0.1643
    """
    rows = scored(outcomes, options, probabilities=True)
    if len(rows.classes) == 1:
        given = np.where(rows.is_class(0), rows.scores[:, 0], 1 - rows.scores[:, 0])
    else:
        padded = np.column_stack([rows.scores, np.zeros(len(rows.scores))])  # truth -1 is the last column
        given = padded[np.arange(len(padded)), rows.truth]
    tiny = sys.float_info.epsilon
    return mean_of(-np.log(np.clip(given, tiny, 1 - tiny)), "positive")


BINS: Final = 10


def calibration_error(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean over rows of |share that came true - mean probability| of the row's bin, of ten equally wide ones, [0, 0.1) to
    [0.9, 1] (Naeini, Cooper and Hauskrecht, AAAI 2015). Of one class (`scored.positive_class`) its probability; with more the
    highest one, and whether that class came true (Guo et al., ICML 2017). Not in scikit-learn. Raises ValueError for scores that
    are no probabilities.

    Chance alone makes a calibrated model's error greater than 0: a bin's |mean| has a folded normal law. The lower end of the
    interval, and the test of "worse", are of the error without what chance adds, at most, in each bin; the upper end is that of
    the error as it is.

    >>> from otel_mlmon.stats.metrics.outcomes import labelled
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
        return Influence(value, np.zeros(n), SamplingDistribution(value, math.nan, math.nan))
    of_rows = (np.sign(total)[bins] * excess - value) / math.sqrt(n * (n - 1))
    mean = np.divide(total, size, out=np.zeros(BINS), where=size > 0)
    within = np.bincount(bins, weights=(excess - mean[bins]) ** 2, minlength=BINS)
    expected = np.bincount(bins, weights=said * (1 - said), minlength=BINS)  # of a model that is calibrated
    variance = np.maximum(within, expected)
    between = float(size @ (np.abs(mean) - value) ** 2)
    chance = float(_folding(np.abs(total), np.sqrt(variance)).sum() / n)
    spread = math.sqrt((float(variance.sum()) + between) / n / max(n - 1, 1))
    return Influence(value, of_rows, SamplingDistribution(value - chance, spread, n - 1, "share", slack=chance))


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
