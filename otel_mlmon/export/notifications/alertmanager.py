"""Alertmanager, API v2: it gets firing alerts again and again, and resolved ones for 15 minutes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from otel_mlmon.export.notifications.destination import Destination
from otel_mlmon.export.notifications.links import annotations_of, labels_of, report_url
from otel_mlmon.export.notifications.notifier import Notifier
from otel_mlmon.export.plain import iso
from otel_mlmon.export.source import ObserveDelivery
from otel_mlmon.values import Alert

_RESOLVED_FOR_S: Final = 15 * 60  # Prometheus sends a resolved alert for as long
_MISSED: Final = 4  # an alert that is not sent for so many intervals ends by itself
_AT_ONCE: Final = 256  # alerts in one request, as Prometheus does
_RETRY_S: Final = 1.0


class AlertmanagerNotifier(Notifier):
    """One Alertmanager. It gets the current state, so nothing queues up while it is away."""

    def __init__(
        self,
        url: str,
        external_url: str,
        *,
        alerts: Callable[[], Sequence[Alert]],
        observe: ObserveDelivery,
        resend_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`alerts` returns all alerts, `clock` Unix seconds; links begin with `external_url`."""
        destination = Destination("alertmanager", f"{url.rstrip('/')}/api/v2/alerts", observe)
        super().__init__(destination, interval_s=resend_s, first_wait_s=_RETRY_S, longest_wait_s=resend_s)
        self._external_url = external_url
        self._alerts = alerts
        self._resend_s = resend_s
        self._clock = clock
        self._lock = threading.Lock()
        self._resolved: dict[str, tuple[float, Alert]] = {}  # by id, with the wall time of `notify`

    def notify(self, changed: Sequence[Alert]) -> None:
        """Send alerts that began to fire or were resolved, at once. Never blocks."""
        now = self._clock()
        with self._lock:
            for alert in changed:
                if alert.state.phase != "firing" and alert.state.resolved_at:
                    self._resolved[alert.id] = (now, alert)
        self.soon()

    def deliver(self) -> float | None:
        now = self._clock()
        firing = [alert for alert in self._alerts() if alert.phase == "firing"]
        again = {alert.id for alert in firing}
        with self._lock:
            self._resolved = {
                id_: (notified, alert)
                for id_, (notified, alert) in self._resolved.items()
                if now - notified < _RESOLVED_FOR_S and id_ not in again
            }
            resolved = [alert for _, alert in self._resolved.values()]
        body = [self._alert(alert, now) for alert in (*firing, *resolved)]
        for first in range(0, len(body), _AT_ONCE):
            answer = self._destination.post(json.dumps(body[first : first + _AT_ONCE]).encode(), "application/json")
            # Alertmanager refuses single alerts and takes the others of a request, so later requests must still go.
            if answer.outcome in {"busy", "unreachable"}:
                return answer.wait_s
        return None

    def _alert(self, alert: Alert, now: float) -> dict[str, Any]:
        url = report_url(self._external_url, alert.id)
        now_ns = int(now * 1e9)
        starts_at = min(alert.state.fired_at or now_ns, now_ns)
        if alert.state.phase == "firing":
            ends_at = now_ns + int(_MISSED * self._resend_s * 1e9)
        else:
            ends_at = min(alert.state.resolved_at, now_ns)
        return {
            "labels": labels_of(alert),
            "annotations": annotations_of(alert, url),
            "startsAt": iso(starts_at),
            "endsAt": iso(max(ends_at, starts_at)),
            "generatorURL": url,
        }
