"""The data that this room needs of the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from otel_mlmon.values import Alert, Point
from otel_mlmon.values.explanation import Explanation, PastVerdict
from otel_mlmon.wire.semconv import MetricName


class MetricSource(Protocol):
    """All metrics as of one moment. No metric and no series comes twice."""

    def metrics(self) -> Iterable[tuple[MetricName, Sequence[Point]]]: ...


class AlertSource(Protocol):
    """Alerts with their history, examples and explanation."""

    def alerts(self) -> Sequence[Alert]:
        """Return pending, firing and just resolved alerts."""
        ...

    def alert(self, alert_id: str) -> Alert | None:
        """Return an alert, inactive or not."""
        ...

    def history(self, alert_id: str) -> Sequence[PastVerdict]:
        """Return verdicts, oldest first, without intervals."""
        ...

    def examples(self, alert_id: str) -> Sequence[Mapping[str, Any]]:
        """Return bad predictions: prediction_id, time (ns), value, prediction, ground_truth, trace_id."""
        ...

    def explanation(self, alert_id: str, wait: float | None = None) -> Explanation | None:
        """Return why the alert fires; None for an unknown alert, or if it takes longer than `wait` seconds.

        The computation then goes on, and a later call returns its result.
        """
        ...

    def status(self) -> Mapping[str, Any]:
        """Return JSON-able data: version, uptime_s, models, rules, ingest, store_bytes, notes."""
        ...


# (destination, outcome). sent: accepted. failed: an attempt failed. dropped: a notification will never be delivered.
ObserveDelivery = Callable[[str, str], None]
