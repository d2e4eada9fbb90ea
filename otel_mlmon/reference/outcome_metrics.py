"""Metrics of scores and design effects of losses, from the reference's rows with ground truth."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.estimation.held_out import mean_design_effects
from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.metrics.table import ROW_METRICS
from otel_mlmon.values import Effects, Floats, MetricValue, RowBlock
from otel_mlmon.window.outcome_rows import outcomes

METRICS: Final = ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error")
_CLASSES: Final = 20  # with more classes there are no metrics of each class
_CONFIDENCE: Final = 0.95  # of intervals that are not kept


def metric_values(rows: RowBlock, chosen: npt.NDArray[np.int64]) -> dict[str, MetricValue]:
    """Compute the metrics of scores of these rows, by `metric_key`: without a positive class, and for each class."""
    known = outcomes(rows, chosen)
    if not any(np.isfinite(column).any() for column in known.scores.values()):
        return {}
    values = {}
    for positive in (None, *(known.classes if len(known.classes) <= _CLASSES else ())):
        for metric in METRICS:
            value = _metric_value(metric, known, positive)
            if value is not None:
                values[metric_key(metric, positive)] = value
    return values


def metric_key(metric: str, positive: str | None) -> str:
    """Return the key in `Reference.metric_values`: the metric, with the positive class when a rule names one.

    >>> metric_key("roc_auc", None), metric_key("roc_auc", "yes")
    ('roc_auc', 'roc_auc of yes')
    """
    return metric if positive is None else f"{metric} of {positive}"


def _metric_value(metric: str, known: Outcomes, positive: str | None) -> MetricValue | None:
    try:
        estimate = ROW_METRICS[metric].estimate(known, MetricOptions(positive=positive), _CONFIDENCE)
    except ValueError:  # no scores of that class, or scores that are no probabilities
        return None
    if not math.isfinite(estimate.value) or not math.isfinite(estimate.standard_error):
        return None
    return MetricValue(estimate.value, estimate.standard_error, estimate.rows)


def outcome_effects(rows: RowBlock, chosen: npt.NDArray[np.int64]) -> Effects:
    """Measure the design effects of losses, and of each metric of scores, on these rows in order of time."""
    known = outcomes(rows, chosen)
    numeric = np.isfinite(known.truth) & np.isfinite(known.prediction)
    named = (known.true_class >= 0) & (known.predicted_class >= 0)
    by_name: dict[str, Floats] = {}
    if numeric.any():
        error = (known.prediction - known.truth)[numeric]
        with np.errstate(over="ignore"):
            by_name = {"error": error, "absolute_error": np.abs(error), "squared_error": error**2}
    if named.any():
        by_name["zero_one"] = (known.true_class != known.predicted_class)[named].astype(np.float64)
    if any(np.isfinite(column).any() for column in known.scores.values()):
        for metric in METRICS:
            try:
                by_name[metric] = ROW_METRICS[metric].influence(known, MetricOptions()).of_rows
            except ValueError:  # scores that are no probabilities have no such metric
                continue
    usable = {name: values for name, values in by_name.items() if len(values) and np.isfinite(values).all()}
    measured = {name: mean_design_effects(values) for name, values in usable.items()}
    return {name: effects for name, effects in measured.items() if effects}
