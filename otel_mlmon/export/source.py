"""What this stage needs of the processor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from otel_mlmon.semconv import MetricName
from otel_mlmon.values import Alert, Point, Status


class HistoryPoint(NamedTuple):
    """One verdict of an alert's past; `end` is the end of its window, ns."""

    end: int
    value: float | None
    threshold: float | None
    status: Status


class MetricSource(Protocol):
    """All metrics as of one moment."""

    def metrics(self) -> Iterable[tuple[MetricName, Sequence[Point]]]: ...


class AlertSource(Protocol):
    """Alerts and what is behind them."""

    def alerts(self) -> Sequence[Alert]: ...
    def alert(self, alert_id: str) -> Alert | None: ...
    def history(self, alert_id: str) -> Sequence[HistoryPoint]: ...
    def examples(self, alert_id: str) -> Sequence[Mapping[str, Any]]: ...
    def status(self) -> Mapping[str, Any]: ...


ObserveDelivery = Callable[[str, str], None]  # (destination, outcome: sent or failed)
