"""Draw slices as values with their intervals, and features as bars. One row each, the first on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import number, shown
from otel_mlmon.values.explanation import FeatureDrift, Part, Where

_LEFT, _RIGHT, _STEP = 270.0, 96.0, 30.0
_MOST = 20


def slices(where: Where) -> Markup:
    """Draw the value of all rows and of each slice with its interval, and a mark at the expected value."""
    whole = Part("all of them", (), where.rows, where.value, where.expected)
    rows = [row for row in (whole, *where.slices) if number(row.value) is not None][:_MOST]
    ends = [
        end
        for row in rows
        for figure in (row.value, row.low, row.high, row.expected)
        if (end := number(figure)) is not None
    ]
    if not where.slices or not ends:
        return Markup("")
    low, high = min(0.0, *ends), max(0.0, *ends)
    across = svg.WIDTH - _LEFT - _RIGHT

    def at(value: float) -> float:
        return _LEFT + (value - low) / ((high - low) or 1.0) * across

    foot = len(rows) * _STEP + 8
    parts = [svg.line("grid", [(at(mark), 0), (at(mark), foot)]) for mark in svg.round_steps(low, high, 5)]
    for place, row in enumerate(rows):
        parts += _row(row, "value-dot" if row is whole else "breach", place * _STEP + _STEP / 2 + 4, at)
    for mark in svg.round_steps(low, high, 5):
        parts.append(svg.words(at(mark), foot + 14, shown(mark), "middle"))
    return svg.picture(parts, foot + 22, "slices: value and expected value")


def _row(row: Part, kind: str, y: float, at: Callable[[float], float]) -> list[str]:
    value, expected, low, high = number(row.value), number(row.expected), number(row.low), number(row.high)
    assert value is not None
    tip = f"{row.name}: {shown(value)}, expected {shown(expected)}"
    parts = [svg.words(_LEFT - 10, y + 4, svg.cut(row.name, 40), "end", tip=row.name)]
    if low is not None and high is not None:
        tip += f", 95 % interval {shown(low)} to {shown(high)}"
        parts.append(svg.rectangle("reach", at(low), y - 4, max(at(high) - at(low), 2), 8, tip))
    if expected is not None:
        parts.append(svg.rectangle("mark", at(expected) - 1.5, y - 10, 3, 20, f"expected {shown(expected)}"))
    parts.append(svg.dot(kind, at(value), y, 5, tip))
    parts.append(svg.words(svg.WIDTH - 2, y + 4, f"{shown(row.rows)} rows", "end"))
    return parts


def ranking(features: Sequence[FeatureDrift]) -> Markup:
    """Draw features by distance × importance; empty where no score is above 0."""
    rows = [(feature, score) for feature in features if (score := number(feature.score) or 0.0) > 0][:_MOST]
    if not rows:
        return Markup("")
    most, across, parts = max(score for _, score in rows), 250.0, []
    for place, (row, score) in enumerate(rows):
        y = place * _STEP + 4
        product = f"{shown(row.distance)} × {shown(row.importance)} = {shown(score)}"
        tip = f"{row.feature}: distance × importance = {product}"
        parts.append(svg.words(_LEFT - 90, y + 15, svg.cut(row.feature, 26), "end", tip=row.feature))
        parts.append(svg.rectangle("win", _LEFT - 80, y + 2, score / most * across, _STEP - 12, tip))
        parts.append(svg.words(_LEFT - 72 + score / most * across, y + 15, shown(score)))
        change = svg.cut(row.change, 40)
        parts.append(svg.words(svg.WIDTH - 2, y + 15, change, "end", tip=f"{row.change}; {product}"))
    return svg.picture(parts, len(rows) * _STEP + 8, "features by distance times importance")
