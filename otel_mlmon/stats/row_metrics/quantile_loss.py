"""Quantile loss: the error of a model that predicts a quantile."""

from __future__ import annotations

import numpy as np

from otel_mlmon.stats.outcomes import Mask, MetricOptions, Outcomes
from otel_mlmon.stats.row_metrics.influence import Influence, mean_of


def quantile_loss(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean of q × (truth - prediction) where that is above 0, else of (1 - q) × (prediction - truth), in the unit of the
    prediction: pinball loss (Koenker and Bassett, Econometrica 46, 1978). Half the MAE for the median.

    Raises ValueError unless the quantile q is between 0 and 1.

    >>> from otel_mlmon.stats.outcomes import numbers
    >>> round(quantile_loss(numbers([1, 2, 3], [0, 2, 5]), MetricOptions(quantile=0.9)).value, 4)
    0.3667
    """
    q = options.quantile
    if not 0 <= q <= 1:
        raise ValueError(f"quantile must be between 0 and 1, found {q}")
    rows = both_numbers(outcomes, options)
    short = outcomes.truth[rows] - outcomes.prediction[rows]
    return mean_of(np.maximum(q * short, (q - 1) * short), "positive")


def both_numbers(outcomes: Outcomes, options: MetricOptions) -> Mask:
    """Rows whose truth and prediction are finite numbers.

    >>> from otel_mlmon.stats.outcomes import numbers
    >>> both_numbers(numbers([1, float("nan")], [1, 2]), MetricOptions()).tolist()
    [True, False]
    """
    return np.isfinite(outcomes.truth) & np.isfinite(outcomes.prediction)
