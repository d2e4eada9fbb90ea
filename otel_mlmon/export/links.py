"""How an alert is called outside: its labels, and the address of its report page."""

from __future__ import annotations

from otel_mlmon.values import Alert


def labels_of(alert: Alert) -> dict[str, str]:
    """Labels that identify the alert; empty ones are left out, as Alertmanager does. A rule's own labels win."""
    target = alert.target
    named = {
        "alertname": alert.rule,
        "group": alert.group,
        "check": alert.check,
        "method": alert.method,
        "model": target.model,
        "version": target.version,
        "segment": target.segment,
        "feature": target.field,
    }
    return {**{key: value for key, value in named.items() if value}, **alert.labels}


def report_url(external_url: str, alert_id: str) -> str:
    """Where the report page of an alert is."""
    return f"{external_url.rstrip('/')}/alerts/{alert_id}"
