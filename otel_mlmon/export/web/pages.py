"""Alerts and status as HTML. Everything that came over the wire is escaped by the templates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from otel_mlmon.export.source import HistoryPoint
from otel_mlmon.export.web import svg
from otel_mlmon.values import Alert


def _when(ns: int | None) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC") if ns else "-"


def _shown(value: Any) -> str:
    """A number as people read it; what is not known is a dash."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}".replace(",", " ")
    return f"{value:.4g}"


def _p(value: float | None) -> str:
    if value is None:
        return "not tested"
    return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"


_environment = Environment(
    loader=PackageLoader("otel_mlmon.export.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip
_environment.filters.update(when=_when, shown=_shown, p=_p)


def overview_page(status: Mapping[str, Any], alerts: Sequence[Alert]) -> str:
    """Models, what fires, and whether everything that came in is accounted for."""
    return _environment.get_template("overview.html").render(status=status, alerts=alerts)


def alerts_page(alerts: Sequence[Alert]) -> str:
    """All alerts that are pending, firing or just resolved."""
    phases = Counter(alert.state.phase for alert in alerts)
    return _environment.get_template("alerts.html").render(alerts=alerts, phases=phases)


def missing_page(alert_id: str) -> str:
    """There is no such alert."""
    return _environment.get_template("missing.html").render(alert_id=alert_id)


def report_page(alert: Alert, history: Sequence[HistoryPoint], examples: Sequence[Mapping[str, Any]]) -> str:
    """The evidence behind one alert."""
    evidence = alert.verdict.evidence
    drawn, caption = _distribution(evidence.get("distribution"))
    return _environment.get_template("report.html").render(
        alert=alert,
        verdict=alert.verdict,
        target=alert.target,
        state=alert.state,
        drawn=drawn,
        caption=caption,
        numbers=_rows(evidence.get("numbers"), 3),
        segments=_rows(evidence.get("segments"), 3),
        rule=evidence.get("rule") if isinstance(evidence.get("rule"), Mapping) else {},
        history=svg.history(history),
        examples=examples,
        sql=_sql(alert),
    )


def _distribution(found: Any) -> tuple[Any, str]:
    if not isinstance(found, Mapping):
        return "", ""
    reference, window = list(found.get("reference") or ()), list(found.get("window") or ())
    if found.get("kind") == "numeric":
        labels = svg.numeric_labels(list(found.get("edges") or ()))
        caption = (
            "Share of values in each bin of the reference. The bins are the reference's own, with about equal shares, "
            "so that the pale bars are level by construction; the outermost are values outside its range."
        )
    else:
        labels = [str(label) for label in found.get("labels") or ()]
        caption = "Share of each category."
    return svg.distribution(labels, reference, window), caption


def _rows(found: Any, width: int) -> list[Sequence[Any]]:
    return [row for row in found or () if isinstance(row, (list, tuple)) and len(row) == width]


def _sql(alert: Alert) -> str:
    table = alert.target.model.replace('"', '""')
    version = alert.target.version.replace("'", "''")
    return (
        f"SELECT * FROM predictions.\"{table}\"\nWHERE _version = '{version}' "
        f"AND _time >= {alert.verdict.start} AND _time < {alert.verdict.end};"
    )
