"""A webhook: one JSON POST for each alert that began to fire or was resolved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from otel_mlmon.export.delivery import Delivery
from otel_mlmon.export.links import labels_of, report_url
from otel_mlmon.export.source import ObserveDelivery
from otel_mlmon.values import Alert


class WebhookNotifier:
    """One URL. The body has the shape that Alertmanager's own webhooks have, so that receivers fit both."""

    def __init__(self, url: str, external_url: str, *, observe: ObserveDelivery) -> None:
        self._external_url = external_url
        self._delivery = Delivery("webhook", url, observe)

    def start(self) -> None:
        """Begin to deliver."""
        self._delivery.start()

    def notify(self, changed: Sequence[Alert]) -> None:
        """Queue what changed."""
        for alert in changed:
            self._delivery.put(payload(alert, self._external_url))

    def stop(self) -> None:
        """Deliver what waits and end."""
        self._delivery.stop()


def payload(alert: Alert, external_url: str) -> dict[str, Any]:
    """One alert as JSON; times are event time."""
    firing = alert.state.phase == "firing"
    labels, url = labels_of(alert), report_url(external_url, alert.id)
    verdict = alert.verdict
    return {
        "version": "4",
        "status": "firing" if firing else "resolved",
        "groupLabels": {"alertname": alert.rule},
        "commonLabels": labels,
        "commonAnnotations": dict(alert.annotations),
        "externalURL": external_url,
        "alerts": [
            {
                "status": "firing" if firing else "resolved",
                "labels": labels,
                "annotations": {**alert.annotations, "description": verdict.message, "report": url},
                "startsAt": _iso(alert.state.fired_at),
                "endsAt": None if firing else _iso(alert.state.resolved_at),
                "generatorURL": url,
                "fingerprint": alert.id,
                "value": verdict.value,
                "threshold": verdict.threshold,
                "pValue": verdict.p_value,
                "rows": verdict.rows,
            }
        ],
    }


def _iso(ns: int) -> str | None:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds") if ns else None
