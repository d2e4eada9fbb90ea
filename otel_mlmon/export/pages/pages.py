"""The overview and the list of alerts as HTML. The templates escape all text from the wire."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from otel_mlmon.export.pages.incidents import incidents
from otel_mlmon.export.pages.wording import environment, number
from otel_mlmon.values import STATUS_CODE, Alert

_MODEL = ("model", "versions", "rows", "newest", "verdicts", "firing")
_RULE = ("rule", "group", "check", "method", "model", "window", "verdicts", "firing")
_INGEST = ("received", "stored", "duplicates", "rejected")


def overview_page(status: Mapping[str, Any], alerts: Sequence[Alert]) -> str:
    """Return the page with models, rules, firing alerts and counts of received rows."""
    models = [_row(model, _MODEL) for model in _list(status.get("models"))]
    rules = [_row(rule, _RULE) for rule in _list(status.get("rules"))]
    ingest = _row(status.get("ingest"), _INGEST)
    verdicts: Counter[str] = Counter()
    for model in models:
        verdicts.update(model["verdicts"])
    return environment.get_template("overview.html").render(
        root=".",
        notes=_list(status.get("notes")),
        models=models,
        rules=rules,
        verdicts={name: verdicts[name] for name in STATUS_CODE},
        phases=Counter(alert.phase for alert in alerts),
        incidents=incidents(_ongoing(alerts)),
        resolved=len(alerts) - len(_ongoing(alerts)),
        ingest=ingest,
        unaccounted=_unaccounted(ingest),
        version=status.get("version"),
        uptime_ns=(number(status.get("uptime_s")) or 0) * 1e9,
        store_mb=(number(status.get("store_bytes")) or 0) / 1e6,
    )


def alerts_page(alerts: Sequence[Alert]) -> str:
    """Return the page with all pending, firing and just resolved alerts."""
    phases = Counter(alert.phase for alert in alerts)
    now = _ongoing(alerts)
    over = [alert for alert in alerts if alert.state.resolved_at]
    return environment.get_template("alerts.html").render(
        root=".", incidents=incidents(now), over=incidents(over), phases=phases
    )


def missing_page(alert_id: str) -> str:
    """Return the page for an unknown alert."""
    return environment.get_template("missing.html").render(root="..", alert_id=alert_id)


def _ongoing(alerts: Sequence[Alert]) -> list[Alert]:
    return [alert for alert in alerts if not alert.state.resolved_at]


def _row(value: Any, keys: Sequence[str]) -> dict[str, Any]:
    """Return all keys that a template shows; `verdicts` as numbers, `versions` as a list."""
    row = dict.fromkeys(keys) | (dict(value) if isinstance(value, Mapping) else {})
    counts = row.get("verdicts") if isinstance(row.get("verdicts"), Mapping) else {}
    row["verdicts"] = {str(name): int(number(n) or 0) for name, n in (counts or {}).items()}
    row["versions"] = _list(row.get("versions"))
    return row


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _unaccounted(ingest: Mapping[str, Any]) -> float | None:
    """Return the received rows that are not stored, duplicate or rejected: those in flight."""
    known = [number(ingest[key]) for key in _INGEST]
    if None in known:
        return None
    received, *became = (n or 0.0 for n in known)
    return received - sum(became)
