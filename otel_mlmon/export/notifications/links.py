"""Labels, annotations and report address of an alert, for the outside."""

from __future__ import annotations

from urllib.parse import quote

from otel_mlmon.export.plain import text
from otel_mlmon.values import Alert


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels of an alert. Empty ones are left out, as Alertmanager does. A rule's own labels win."""
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
        **alert.labels,
    }
    return {key: text(str(value)) for key, value in named.items() if value}


def annotations_of(alert: Alert, url: str) -> dict[str, str]:
    """Return texts for a person. A rule's own annotations win, except for the address of the report page."""
    named = {"description": alert.verdict.result.message, **alert.annotations, "report": url}
    return {key: text(str(value)) for key, value in named.items() if value}


def report_url(external_url: str, alert_id: str) -> str:
    """Return the address of an alert's report page."""
    return f"{external_url.rstrip('/')}/alerts/{quote(alert_id, safe='')}"
