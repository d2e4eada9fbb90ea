"""Pictures of an explanation: slices as values with their intervals, features as bars. A row each, the first on top."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import number, shown

_LEFT, _RIGHT, _STEP = 270.0, 96.0, 30.0
_MOST = 20


def slices(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Value with its interval, and a mark at what was expected. Rows have name, rows, value, low, high and expected."""
    rows = [row for row in rows if number(row.get("value")) is not None][:_MOST]
    ends = [
        found
        for row in rows
        for key in ("value", "low", "high", "expected")
        if (found := number(row.get(key))) is not None
    ]
    if not ends:
        return Markup("")
    low, high = min(0.0, *ends), max(0.0, *ends)
    across = svg.WIDTH - _LEFT - _RIGHT

    def at(value: float) -> float:
        return _LEFT + (value - low) / ((high - low) or 1.0) * across

    foot = len(rows) * _STEP + 8
    parts = [svg.line("grid", [(at(mark), 0), (at(mark), foot)]) for mark in svg.round_steps(low, high, 5)]
    for place, row in enumerate(rows):
        y = place * _STEP + _STEP / 2 + 4
        parts += _row(row, y, at)
    for mark in svg.round_steps(low, high, 5):
        parts.append(svg.words(at(mark), foot + 14, shown(mark), "middle"))
    return svg.picture(parts, foot + 22, "slices: value and what was expected")


def _row(row: Mapping[str, Any], y: float, at: Any) -> list[str]:
    name, value, expected = str(row.get("name")), number(row.get("value")), number(row.get("expected"))
    low, high = number(row.get("low")), number(row.get("high"))
    assert value is not None
    kind = "breach" if row.get("slice", True) else "value-dot"
    tip = f"{name}: {shown(value)}, expected {shown(expected)}"
    parts = [svg.words(_LEFT - 10, y + 4, svg.cut(name, 40), "end", tip=name)]
    if low is not None and high is not None:
        tip += f", 95 % interval {shown(low)} to {shown(high)}"
        parts.append(svg.rectangle("reach", at(low), y - 4, max(at(high) - at(low), 2), 8, tip))
    if expected is not None:
        parts.append(svg.rectangle("mark", at(expected) - 1.5, y - 10, 3, 20, f"expected {shown(expected)}"))
    parts.append(svg.dot(kind, at(value), y, 5, tip))
    parts.append(svg.words(svg.WIDTH - 2, y + 4, f"{shown(row.get('rows'))} rows", "end"))
    return parts


def ranking(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """Features by distance × importance. Rows have feature, distance, importance, score and change."""
    rows = [row for row in rows if number(row.get("score")) is not None][:_MOST]
    most = max((number(row["score"]) or 0.0 for row in rows), default=0.0)
    if most <= 0:
        return Markup("")
    across, parts = 250.0, []
    for place, row in enumerate(rows):
        y, name = place * _STEP + 4, str(row.get("feature"))
        score = max(number(row["score"]) or 0.0, 0.0)
        product = f"{shown(row.get('distance'))} × {shown(row.get('importance'))} = {shown(score)}"
        tip = f"{name}: distance × importance = {product}"
        parts.append(svg.words(_LEFT - 90, y + 15, svg.cut(name, 26), "end", tip=name))
        parts.append(svg.rectangle("win", _LEFT - 80, y + 2, score / most * across, _STEP - 12, tip))
        parts.append(svg.words(_LEFT - 72 + score / most * across, y + 15, shown(score)))
        change = str(row.get("change"))
        parts.append(svg.words(svg.WIDTH - 2, y + 15, svg.cut(change, 40), "end", tip=f"{change}; {product}"))
    return svg.picture(parts, len(rows) * _STEP + 8, "features by how far they moved times importance")
