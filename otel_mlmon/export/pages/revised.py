"""What was known when of one window: its coverage grows, and its value with its interval settles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import number, shown, when

_LEFT, _TOP, _HEIGHT, _FOOT, _RIGHT = 58.0, 12.0, 210.0, 30.0, 48.0
_PLOT, _ACROSS = _HEIGHT - _TOP - _FOOT, svg.WIDTH - _LEFT - _RIGHT
_MOST = 120


def draw(rows: Sequence[Mapping[str, Any]], said: Callable[[Any], str] = shown) -> Markup:
    """Rows, oldest first, have known (ns), coverage, value, low, high, status and maturity; empty with fewer than two. `said` writes values."""
    rows = [row for row in rows if number(row.get("value")) is not None and number(row.get("known")) is not None][
        -_MOST:
    ]
    if len(rows) < 2:
        return Markup("")
    ends = [found for row in rows for key in ("value", "low", "high") if (found := number(row.get(key))) is not None]
    pad = 0.15 * (max(ends) - min(ends)) or abs(ends[0]) or 1.0  # not from 0: that the interval settles is to be seen
    low, high = min(ends) - pad, max(ends) + pad
    step = _ACROSS / len(rows)

    def height(value: float) -> float:
        return _TOP + _PLOT - (value - low) / ((high - low) or 1.0) * _PLOT

    parts = []
    for mark in svg.round_steps(low, high):
        parts.append(svg.line("grid", [(_LEFT, height(mark)), (_LEFT + _ACROSS, height(mark))]))
        parts.append(svg.words(_LEFT - 6, height(mark) + 4, said(mark), "end"))
    for share in (0.0, 0.5, 1.0):
        parts.append(svg.words(svg.WIDTH - 2, _TOP + _PLOT * (1 - share) + 4, f"{share:.0%}", "end"))
    line = []
    for place, row in enumerate(rows):
        x = _LEFT + (place + 0.5) * step
        parts += _one(row, x, step, height, said)
        line.append((x, height(number(row["value"]) or 0.0)))
    parts.append(svg.line("value", line))
    parts += [
        svg.dot("breach" if row.get("status") == "breach" else "ok", x, y, 4, _tip(row, said))
        for row, (x, y) in zip(rows, line, strict=True)
    ]
    parts.append(svg.words(_LEFT, _HEIGHT - 10, when(rows[0]["known"])))
    parts.append(svg.words(_LEFT + _ACROSS, _HEIGHT - 10, when(rows[-1]["known"]), "end"))
    return svg.picture(parts, _HEIGHT, "what was known when: coverage and value with its interval")


def _one(row: Mapping[str, Any], x: float, step: float, height: Any, said: Callable[[Any], str]) -> list[str]:
    parts = []
    covered, low, high = number(row.get("coverage")), number(row.get("low")), number(row.get("high"))
    if covered is not None:
        bar = min(max(covered, 0.0), 1.0) * _PLOT
        parts.append(svg.rectangle("ref", x - step * 0.35, _TOP + _PLOT - bar, step * 0.7, bar, _tip(row, said)))
    if low is not None and high is not None:
        parts.append(
            svg.rectangle("reach", x - 3, height(high), 6, max(height(low) - height(high), 1), _tip(row, said))
        )
    return parts


def _tip(row: Mapping[str, Any], said: Callable[[Any], str]) -> str:
    covered = number(row.get("coverage"))
    share = "?" if covered is None else svg.percent(covered)
    between = f"{said(row.get('low'))} to {said(row.get('high'))}"
    return f"{when(row.get('known'))}: {said(row.get('value'))} ({between}), {share} known, {row.get('maturity')}"
