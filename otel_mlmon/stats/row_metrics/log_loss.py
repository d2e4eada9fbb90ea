"""Log loss: how surprising what came true was to the model."""

from __future__ import annotations

import sys

import numpy as np

from otel_mlmon.stats.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.row_metrics.influence import Influence, mean_of
from otel_mlmon.stats.row_metrics.scored import scored


def log_loss(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean of -log(probability of what came true), natural logarithm, probabilities kept a rounding error away from 0 and 1, as
    scikit-learn does: of one class against the others (`scored.positive_class`), else of all classes. A class that has no scores
    was given none. Raises ValueError for scores that are no probabilities.

    >>> from otel_mlmon.stats.outcomes import labelled
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
