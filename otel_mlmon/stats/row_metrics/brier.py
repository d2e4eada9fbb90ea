"""Brier score: squared distance of the probabilities from what came true."""

from __future__ import annotations

import numpy as np

from otel_mlmon.stats.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.row_metrics.influence import Influence, mean_of
from otel_mlmon.stats.row_metrics.scored import scored


def brier(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Of one class (`scored.positive_class`) the mean of (probability - 1 if it came true, else 0)², 0 to 1; of all classes the
    mean over rows of the sum of these over classes, 0 to 2 (Brier, Monthly Weather Review 78, 1950). That is what scikit-learn's
    `brier_score_loss` gives with `scale_by_half="auto"`. A class that has no scores was given none. Raises ValueError for
    scores that are no probabilities.

    >>> from otel_mlmon.stats.outcomes import labelled
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
