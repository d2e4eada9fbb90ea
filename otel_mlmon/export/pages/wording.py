"""Format numbers, times and states for pages. Values may be missing; nothing here raises."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from otel_mlmon.export.pages.svg import percent
from otel_mlmon.export.plain import plain, utc
from otel_mlmon.values import Alert

UNKNOWN = "–"
_LINES = 240  # characters of an alert's summary in a list


def number(value: Any) -> float | None:
    """Return a finite number as float, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def shown(value: Any) -> str:
    """Format a value; an unknown one is a dash."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return UNKNOWN
    if isinstance(value, (Mapping, list, tuple)):
        return str(plain(value))
    known = number(value)
    if known is None:
        return str(value)
    if known.is_integer() and abs(known) < 1e15:
        return f"{int(known):,}"
    return f"{known:.4g}" if abs(known) < 1e4 or abs(known) >= 1e12 else f"{known:,.0f}"


def as_share(value: Any) -> str:
    """Format a share as a percentage."""
    known = number(value)
    if known is None:
        return UNKNOWN
    return f"-{percent(-known)}" if known < 0 else percent(known)


def when(ns: Any) -> str:
    """Format a time to the minute, UTC."""
    moment = utc(ns)
    return UNKNOWN if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")


def length(ns: Any) -> str:
    """Format a duration in its two largest units."""
    seconds = int((number(ns) or 0) / 1e9)
    if seconds < 60:
        return f"{max(seconds, 0)} s"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    parts = [(days, "d"), (hours, "h"), (minutes, "min")] if days < 10 else [(days, "d")]
    return " ".join([f"{n} {unit}" for n, unit in parts if n][:2])


def sure(p_value: Any) -> str:
    """Format a p-value."""
    known = number(p_value)
    if known is None:
        return "not tested"
    return "p < 0.0001" if known < 0.0001 else f"p = {known:.2g}"


def phase(alert: Alert) -> str:
    """Return the alert's phase; "resolved" for one that was just resolved."""
    return "resolved" if alert.state.resolved_at else alert.phase


def summary(alert: Alert) -> str:
    """Return the rule's own summary, or the beginning of the verdict's message."""
    text = str(alert.annotations.get("summary") or "") or alert.verdict.result.message.partition("; ")[0]
    return text if len(text) <= _LINES else text[: _LINES - 1] + "…"


environment = Environment(
    loader=PackageLoader("otel_mlmon.export.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
environment.filters.update(
    when=when, shown=shown, sure=sure, phase=phase, length=length, summary=summary, share=as_share
)
