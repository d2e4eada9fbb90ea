"""The metrics that need rows, by name. A new one is a function in a module beside this and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from otel_mlmon.stats.inference.estimate import Better, Estimate
from otel_mlmon.stats.metrics.influence import Influence
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes
from otel_mlmon.stats.metrics.ranking import average_precision, ndcg, ranked, roc_auc
from otel_mlmon.stats.metrics.regression import both_numbers, quantile_loss
from otel_mlmon.stats.metrics.scores import brier, calibration_error, log_loss, usable


class RowMetric(NamedTuple):
    """Which direction is better, what each row adds to the metric, and which rows count at all."""

    better: Better
    influence: Callable[[Outcomes, MetricOptions], Influence]
    rows: Callable[[Outcomes, MetricOptions], Mask]

    def figure(self, outcomes: Outcomes, options: MetricOptions, confidence: float) -> Estimate:
        """The metric with its two-sided interval of `confidence`."""
        return self.influence(outcomes, options).estimate(confidence)


ROW_METRICS: Mapping[str, RowMetric] = {
    "roc_auc": RowMetric("higher", roc_auc, usable),
    "average_precision": RowMetric("higher", average_precision, usable),
    "log_loss": RowMetric("lower", log_loss, usable),
    "brier": RowMetric("lower", brier, usable),
    "calibration_error": RowMetric("lower", calibration_error, usable),
    "quantile_loss": RowMetric("lower", quantile_loss, both_numbers),
    "ndcg": RowMetric("higher", ndcg, ranked),
}
