"""Area under the receiver operating characteristic: how well scores put a class before the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.stats.law import Law
from otel_mlmon.stats.outcomes import Mask, MetricOptions, Outcomes
from otel_mlmon.stats.row_metrics.influence import Influence, mean_of_classes
from otel_mlmon.stats.row_metrics.scored import scored

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

_TRUST: Final = 4.0  # how many times the expected misplaced rows the sample's own variance weighs


def roc_auc(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """P(score of a positive > score of a negative) + half of P(equal): of one class (`scored.positive_class`), else the mean
    over classes that have both positives and negatives (one against the rest, macro). NaN where there are none.

    Variance: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), by midranks (Sun and Xu, IEEE Signal Processing Letters
    21, 2014). It is 0 for scores that separate a small sample perfectly. So it is mixed with that of Hanley and McNeil
    (Radiology 143, 1982; for exponential scores, which is large), where few rows are misplaced; the weights were chosen by
    simulation. The interval is that of the logit of (U + 1/2) / (pairs + 1).

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> e = roc_auc(labelled(["n", "n", "p", "p"], {"p": [0.1, 0.4, 0.35, 0.8]}), MetricOptions()).estimate(0.95)
    >>> e.value, round(e.low, 2), round(e.high, 2)
    (0.75, 0.08, 0.98)
    """
    rows = scored(outcomes, options)
    parts, shrunk = [], []
    for column in range(len(rows.classes)):
        positive = rows.is_class(column)
        count = int(positive.sum())
        if count in (0, len(positive)):
            continue
        part, centre = _of_class(rows.scores[:, column], positive)
        parts.append(part)
        shrunk.append(centre)
    return mean_of_classes(parts, shrunk)


def _of_class(scores: Floats, positive: Mask) -> tuple[Influence, float]:
    """The influence, and the area drawn away from 0 and 1."""
    ranks, (of_positive, of_negative) = midranks(scores), (midranks(scores[positive]), midranks(scores[~positive]))
    m, n = len(of_positive), len(of_negative)
    above = (ranks[positive] - of_positive) / n  # share of the negatives below each positive
    below = 1 - (ranks[~positive] - of_negative) / m  # share of the positives above each negative
    area = float(above.mean())
    of_rows = np.zeros(len(scores))
    of_rows[positive] = (above - area) / math.sqrt(m * max(m - 1, 1))
    of_rows[~positive] = (below - area) / math.sqrt(n * max(n - 1, 1))
    centre = (area * m * n + 0.5) / (m * n + 1)
    seen, large = float(of_rows @ of_rows), _exponential(max(centre, 1 - centre), m, n)
    misplaced = _TRUST * min(m, n) * min(centre, 1 - centre)
    excess = max(0.0, (seen * misplaced + large) / (misplaced + 1) - seen)
    return Influence(area, of_rows, Law(area, math.nan, math.nan), excess), centre


def _exponential(area: float, m: int, n: int) -> float:
    """Variance of the area for exponential scores, the larger of the two with positives and negatives exchanged."""
    one, two = area / (2 - area) - area**2, 2 * area**2 / (1 + area) - area**2
    mixed = max((m - 1) * one + (n - 1) * two, (n - 1) * one + (m - 1) * two)
    return (area * (1 - area) + mixed) / (m * n)


def midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs.

    >>> midranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    order = np.argsort(values)
    in_order = values[order]
    first = np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]])[: len(values)])
    size = np.diff(np.append(first, len(values)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(first + (size + 1) / 2, size)
    return ranks
