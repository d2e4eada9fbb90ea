"""Metrics of the reference that no sums can give: they need the scores of each row."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.metrics.table import ROW_METRICS
from otel_mlmon.values import Figure, RowBlock
from otel_mlmon.window.outcome_rows import outcomes

METRICS: Final = ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error")
_CLASSES: Final = 20  # with more of them there are no figures of each
_CONFIDENCE: Final = 0.95  # of intervals that are not kept


def figures(rows: RowBlock, chosen: npt.NDArray[np.int64]) -> dict[str, Figure]:
    """Figures of these rows by metric, as a rule without `positive` asks for them, and by `figure_key` of each class."""
    found = outcomes(rows, chosen)
    if not any(np.isfinite(column).any() for column in found.scores.values()):
        return {}
    made = {}
    for positive in (None, *(found.classes if len(found.classes) <= _CLASSES else ())):
        for metric in METRICS:
            figure = _figure(metric, found, positive)
            if figure is not None:
                made[figure_key(metric, positive)] = figure
    return made


def figure_key(metric: str, positive: str | None) -> str:
    """The key of `Reference.figures`: the metric, with the class in question where a rule names one.

    >>> figure_key("roc_auc", None), figure_key("roc_auc", "yes")
    ('roc_auc', 'roc_auc of yes')
    """
    return metric if positive is None else f"{metric} of {positive}"


def _figure(metric: str, found: Outcomes, positive: str | None) -> Figure | None:
    try:
        made = ROW_METRICS[metric].estimate(found, MetricOptions(positive=positive), _CONFIDENCE)
    except ValueError:  # no scores of that class, or scores that are no probabilities: then there is no such figure
        return None
    if not math.isfinite(made.value) or not math.isfinite(made.standard_error):
        return None
    return Figure(made.value, made.standard_error, made.rows)
