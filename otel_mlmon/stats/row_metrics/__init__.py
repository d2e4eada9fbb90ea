"""Performance metrics that need the rows; their sums would not do."""

from __future__ import annotations

from otel_mlmon.stats.row_metrics.registry import ROW_METRICS, RowMetric

__all__ = ["ROW_METRICS", "RowMetric"]
