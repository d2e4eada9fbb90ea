"""Average precision: how well scores find the rows of a rare class."""

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

_TRUST: Final = 4.0  # how many times the expected missed positives the sample's own variance weighs
_DRAWN: Final = 0.1  # positives of precision 0 that the interval counts beside those that were seen


def average_precision(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Sum over thresholds of (recall - recall before) × precision, without interpolation, as scikit-learn has it: of one class
    (`scored.positive_class`), else the mean over classes that have both positives and negatives. NaN where there are none.

    Variance: infinitesimal jackknife; for scores that find everything at once, which show none, mixed with that of a share of
    the positives, by weights chosen by simulation. The interval is that of the logit, drawn a little away from 1, as Boyd, Eng
    and Page recommend (Area under the precision-recall curve: point estimates and confidence intervals, ECML PKDD 2013). With
    few positives the value itself is too high on average, and so is the interval.

    >>> from otel_mlmon.stats.outcomes import labelled
    >>> e = average_precision(labelled(["n", "n", "p", "p"], {"p": [0.1, 0.4, 0.35, 0.8]}), MetricOptions()).estimate(0.95)
    >>> round(e.value, 4)
    0.8333
    """
    rows = scored(outcomes, options)
    parts, shrunk = [], []
    for column in range(len(rows.classes)):
        positive = rows.is_class(column)
        if int(positive.sum()) in (0, len(positive)):
            continue
        part, centre = _of_class(rows.scores[:, column], positive)
        parts.append(part)
        shrunk.append(centre)
    return mean_of_classes(parts, shrunk)


def _of_class(scores: Floats, positive: Mask) -> tuple[Influence, float]:
    order = np.argsort(-scores)
    in_order, hits = scores[order], positive[order]
    last = np.flatnonzero(np.append(in_order[1:] != in_order[:-1], True))  # of the rows that share a score
    found, passed = np.cumsum(hits)[last], last + 1.0
    of_group = np.diff(np.concatenate([[0], found]))  # positives per score
    precision, m = found / passed, int(found[-1])
    area = float(of_group @ precision) / m
    # A row moves the precision at its own score and at every lower one.
    hit = np.cumsum((of_group / passed)[::-1])[::-1]
    miss = np.cumsum((of_group * precision / passed)[::-1])[::-1]
    group = np.repeat(np.arange(len(last)), np.diff(np.concatenate([[-1], last])))
    moved = hits * (precision[group] - area + hit[group]) - miss[group]
    of_rows = np.empty(len(scores))
    of_rows[order] = moved / m
    centre = area * m / (m + _DRAWN)
    seen, missed = float(of_rows @ of_rows), _TRUST * m * (1 - centre)
    excess = max(0.0, (seen * missed + centre * (1 - centre) / m) / (missed + 1) - seen)
    return Influence(area, of_rows, Law(area, math.nan, math.nan), excess), centre
