"""The interfaces through which exporters read the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from otel_mlmon.values import Alert, Point, Status
from otel_mlmon.wire.semconv import MetricName


class HistoryPoint(NamedTuple):
    """One verdict of an alert's past. `end`: end of its window, ns. `low`, `high`: interval of `value`, if known."""

    end: int
    value: float | None
    threshold: float | None
    status: Status
    low: float | None = None
    high: float | None = None


class MetricSource(Protocol):
    """All metrics as of one moment. No metric and no series comes twice."""

    def metrics(self) -> Iterable[tuple[MetricName, Sequence[Point]]]: ...


class AlertSource(Protocol):
    """Alerts, their history and their explanations."""

    def alerts(self) -> Sequence[Alert]:
        """Pending, firing and just resolved ones."""
        ...

    def alert(self, alert_id: str) -> Alert | None:
        """Any alert, inactive ones too."""
        ...

    def history(self, alert_id: str) -> Sequence[HistoryPoint]:
        """Verdicts, oldest first."""
        ...

    def examples(self, alert_id: str) -> Sequence[Mapping[str, Any]]:
        """Return the most telling predictions: prediction_id, time (ns), value, prediction, ground_truth, trace_id."""
        ...

    def explanation(self, alert_id: str, wait: float | None = None) -> Mapping[str, Any] | None:
        """Return why an alert fires, JSON-able, as `values.explanation.Explanation`.

        None for an unknown alert, and after `wait` seconds; the work then goes on, for the next call.
        """
        ...

    def status(self) -> Mapping[str, Any]:
        """JSON-able: version, uptime_s, models, rules, ingest, store_bytes, notes."""
        ...


# (destination, outcome). sent: taken. failed: an attempt was in vain. dropped: something will never be delivered.
ObserveDelivery = Callable[[str, str], None]
