"""How alike the errors of neighbours are in the reference: what rows are worth in figures of outcomes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from otel_mlmon.reference.figures import METRICS
from otel_mlmon.stats.estimation.held_out import mean_design_effects
from otel_mlmon.stats.metrics.outcomes import MetricOptions
from otel_mlmon.stats.metrics.table import ROW_METRICS
from otel_mlmon.values import Effects, Floats, RowBlock
from otel_mlmon.window.outcome_rows import outcomes


def outcome_effects(rows: RowBlock, chosen: npt.NDArray[np.int64]) -> Effects:
    """Of these rows, which are in the order of their times: of errors, and of what rows add to metrics of scores."""
    found = outcomes(rows, chosen)
    numeric = np.isfinite(found.truth) & np.isfinite(found.prediction)
    named = (found.true_class >= 0) & (found.predicted_class >= 0)
    added: dict[str, Floats] = {}
    if numeric.any():
        error = (found.prediction - found.truth)[numeric]
        with np.errstate(over="ignore"):
            added = {"error": error, "absolute_error": np.abs(error), "squared_error": error**2}
    if named.any():
        added["zero_one"] = (found.true_class != found.predicted_class)[named].astype(np.float64)
    if any(np.isfinite(column).any() for column in found.scores.values()):
        for metric in METRICS:
            try:
                added[metric] = ROW_METRICS[metric].influence(found, MetricOptions()).of_rows
            except ValueError:  # scores that are no probabilities: there is no such figure either
                continue
    usable = {of: values for of, values in added.items() if len(values) and np.isfinite(values).all()}
    measured = {of: mean_design_effects(values) for of, values in usable.items()}
    return {of: effects for of, effects in measured.items() if effects}
