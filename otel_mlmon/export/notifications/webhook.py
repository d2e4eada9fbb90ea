"""A webhook: one JSON POST for each alert that began to fire or was resolved, in that order."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from otel_mlmon.export.notifications.destination import Destination
from otel_mlmon.export.notifications.links import annotations_of, labels_of, report_url
from otel_mlmon.export.notifications.notifier import Notifier
from otel_mlmon.export.plain import iso, plain
from otel_mlmon.export.source import ObserveDelivery
from otel_mlmon.values import Alert

QUEUE: Final = 1000
TRIES: Final = 10  # for one alert, when the receiver answers with errors
_RETRY_S: Final = 1.0
_LONGEST_RETRY_S: Final = 60.0
_NEVER: Final = "0001-01-01T00:00:00Z"  # how Alertmanager writes that an alert has not ended


class WebhookNotifier(Notifier):
    """One URL. Changes wait in a bounded queue while it cannot be reached; a full queue drops the oldest."""

    def __init__(self, url: str, external_url: str, *, observe: ObserveDelivery, retry_s: float = _RETRY_S) -> None:
        """`external_url` is where our pages are; `retry_s` the first wait after a failure."""
        destination = Destination("webhook", url, observe)
        super().__init__(destination, interval_s=None, first_wait_s=retry_s, longest_wait_s=_LONGEST_RETRY_S)
        self._external_url = external_url
        self._lock = threading.Lock()
        self._waiting: deque[Alert] = deque()
        self._tries = 0

    def notify(self, changed: Sequence[Alert]) -> None:
        """Queue changed alerts. Never blocks."""
        with self._lock:
            self._waiting.extend(changed)
            over = max(len(self._waiting) - QUEUE, 0)
            for _ in range(over):
                self._waiting.popleft()
        self._destination.dropped(over, "the queue is full")
        self.soon()

    def stop(self) -> None:
        """Deliver waiting alerts, one attempt each, and end."""
        super().stop()
        with self._lock:
            left = len(self._waiting)
            self._waiting.clear()
        self._destination.dropped(left, "the processor stops")

    def deliver(self) -> float | None:
        while (alert := self._head()) is not None:
            body = json.dumps(payload(alert, self._external_url)).encode()
            answer = self._destination.post(body, "application/json")
            self._tries += answer.outcome == "busy"
            if answer.outcome == "sent":
                self._done(alert)
            elif answer.outcome == "refused" or self._tries >= TRIES:
                self._done(alert)
                self._destination.dropped(1, f"alert {alert.id} was not taken")
            else:
                return answer.wait_s
        return None

    def _head(self) -> Alert | None:
        with self._lock:
            return self._waiting[0] if self._waiting else None

    def _done(self, alert: Alert) -> None:
        self._tries = 0
        with self._lock:
            if self._waiting and self._waiting[0] is alert:  # a full queue may have dropped it meanwhile
                self._waiting.popleft()


def payload(alert: Alert, external_url: str) -> dict[str, Any]:
    """Return an alert in the shape of Alertmanager's webhooks (version 4), with our numbers; times are event time."""
    status = "firing" if alert.phase == "firing" else "resolved"
    labels, url = labels_of(alert), report_url(external_url, alert.id)
    annotations, verdict = annotations_of(alert, url), alert.verdict
    body = {
        "version": "4",
        "groupKey": f"otel_mlmon/{alert.id}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "webhook",
        "groupLabels": {"alertname": labels.get("alertname", "")},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": external_url,
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": iso(alert.state.fired_at) or _NEVER,
                "endsAt": _NEVER if status == "firing" else iso(alert.state.resolved_at) or _NEVER,
                "generatorURL": url,
                "fingerprint": alert.id,
                "value": verdict.result.value,
                "threshold": verdict.result.threshold,
                "pValue": verdict.result.p_value,
                "rows": verdict.result.rows,
            }
        ],
    }
    found: dict[str, Any] = plain(body)
    return found
