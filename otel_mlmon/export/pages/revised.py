"""Draw the revisions of one window: coverage grows, and the value with its interval settles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import number, shown, when
from otel_mlmon.values.history import RevisionRow

_LEFT, _TOP, _HEIGHT, _FOOT, _RIGHT = 58.0, 12.0, 210.0, 30.0, 48.0
_PLOT, _ACROSS = _HEIGHT - _TOP - _FOOT, svg.WIDTH - _LEFT - _RIGHT
_MOST = 120


def draw(revisions: Sequence[RevisionRow], write: Callable[[Any], str] = shown) -> Markup:
    """Draw the revisions, oldest first; empty for fewer than two. `write` formats values."""
    rows = [(row, value) for row in revisions if (value := number(row.value)) is not None][-_MOST:]
    if len(rows) < 2:
        return Markup("")
    figures = (number(figure) for row, _ in rows for figure in (row.value, row.low, row.high))
    ends = [end for end in figures if end is not None]
    # The axis does not begin at 0, so that the interval is seen to settle.
    pad = 0.15 * (max(ends) - min(ends)) or abs(ends[0]) or 1.0
    low, high = min(ends) - pad, max(ends) + pad
    step = _ACROSS / len(rows)

    def height(value: float) -> float:
        return _TOP + _PLOT - (value - low) / ((high - low) or 1.0) * _PLOT

    parts = []
    for mark in svg.round_steps(low, high):
        parts.append(svg.line("grid", [(_LEFT, height(mark)), (_LEFT + _ACROSS, height(mark))]))
        parts.append(svg.words(_LEFT - 6, height(mark) + 4, write(mark), "end"))
    for share in (0.0, 0.5, 1.0):
        parts.append(svg.words(svg.WIDTH - 2, _TOP + _PLOT * (1 - share) + 4, f"{share:.0%}", "end"))
    line, dots = [], []
    for place, (row, value) in enumerate(rows):
        x, tip = _LEFT + (place + 0.5) * step, _tip(row, write)
        parts += _bars(row, x, step, height, tip)
        line.append((x, height(value)))
        dots.append(svg.dot("breach" if row.status == "breach" else "ok", x, height(value), 4, tip))
    parts += [svg.line("value", line), *dots]
    parts.append(svg.words(_LEFT, _HEIGHT - 10, when(rows[0][0].known)))
    parts.append(svg.words(_LEFT + _ACROSS, _HEIGHT - 10, when(rows[-1][0].known), "end"))
    return svg.picture(parts, _HEIGHT, "coverage and value with its interval, by time")


def _bars(row: RevisionRow, x: float, step: float, height: Callable[[float], float], tip: str) -> list[str]:
    parts = []
    coverage, low, high = number(row.coverage), number(row.low), number(row.high)
    if coverage is not None:
        bar = min(max(coverage, 0.0), 1.0) * _PLOT
        parts.append(svg.rectangle("ref", x - step * 0.35, _TOP + _PLOT - bar, step * 0.7, bar, tip))
    if low is not None and high is not None:
        parts.append(svg.rectangle("reach", x - 3, height(high), 6, max(height(low) - height(high), 1), tip))
    return parts


def _tip(row: RevisionRow, write: Callable[[Any], str]) -> str:
    share = "?" if row.coverage is None else svg.percent(row.coverage)
    return (
        f"{when(row.known)}: {write(row.value)} ({write(row.low)} to {write(row.high)}), {share} known, {row.maturity}"
    )
