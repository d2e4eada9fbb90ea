"""Drift: a window's distribution against the reference's."""

from __future__ import annotations

from otel_mlmon.stats.drift.methods import DRIFT_METHODS, NEEDS_ORDERED_BINS, DriftMethod

__all__ = ["DRIFT_METHODS", "NEEDS_ORDERED_BINS", "DriftMethod"]
