"""Alertmanager, API v2: firing alerts again and again, as it wants them, and resolved ones for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from otel_mlmon.export.delivery import Delivery, Periodic
from otel_mlmon.export.links import labels_of, report_url
from otel_mlmon.export.source import ObserveDelivery
from otel_mlmon.values import Alert

_RESOLVED_FOR_S: Final = 15 * 60  # Prometheus sends a resolved alert for as long
_MISSED: Final = 4  # an alert that is not sent for so many intervals ends by itself


class AlertmanagerNotifier:
    """One Alertmanager."""

    def __init__(
        self,
        url: str,
        external_url: str,
        *,
        firing: Callable[[], Sequence[Alert]],
        observe: ObserveDelivery,
        resend_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`firing` tells all alerts that fire now; `clock` gives Unix seconds."""
        self._external_url = external_url
        self._firing = firing
        self._resend_s = resend_s
        self._clock = clock
        self._lock = threading.Lock()
        self._resolved: dict[str, tuple[float, Alert]] = {}
        self._began: dict[str, float] = {}  # when we first told of it: event time may be long ago
        self._delivery = Delivery("alertmanager", f"{url.rstrip('/')}/api/v2/alerts", observe)
        self._timer = Periodic("mlmon-alertmanager", resend_s, self._send)

    def start(self) -> None:
        """Begin to send."""
        self._timer.start()

    def notify(self, changed: Sequence[Alert]) -> None:
        """Alerts that began to fire or were resolved: they are sent at once."""
        now = self._clock()
        with self._lock:
            for alert in changed:
                if alert.state.phase == "firing":
                    self._resolved.pop(alert.id, None)
                elif alert.state.resolved_at:
                    self._resolved[alert.id] = (now, alert)
        self._timer.soon()

    def stop(self) -> None:
        """Send a last time and end."""
        self._timer.stop()
        self._delivery.stop()

    def _send(self) -> None:
        now = self._clock()
        with self._lock:
            self._resolved = {k: (at, a) for k, (at, a) in self._resolved.items() if now - at < _RESOLVED_FOR_S}
            resolved = list(self._resolved.values())
        firing = list(self._firing())
        ended = {alert.id for _, alert in resolved}
        self._began = {k: v for k, v in self._began.items() if k in ended or any(a.id == k for a in firing)}
        body = [self._alert(alert, now, now + _MISSED * self._resend_s) for alert in firing]
        body += [self._alert(alert, now, at) for at, alert in resolved]
        if body:
            self._delivery.post(body)

    def _alert(self, alert: Alert, now: float, ends_at: float) -> dict[str, Any]:
        url = report_url(self._external_url, alert.id)
        # A replayed history fires in event time; Alertmanager knows only its own clock.
        starts_at = self._began.setdefault(alert.id, min(now, ends_at))
        return {
            "labels": labels_of(alert),
            "annotations": {**alert.annotations, "description": alert.verdict.message, "report": url},
            "startsAt": _iso(starts_at),
            "endsAt": _iso(max(ends_at, starts_at)),
            "generatorURL": url,
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
