"""Draw a rule's value over time with its threshold, interval and changes. The line has gaps at windows without data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any, Protocol

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import number, shown, when
from otel_mlmon.values.explanation import PastVerdict

_LEFT, _TOP, _FOOT, _HEIGHT = 58.0, 12.0, 30.0, 220.0
_PLOT, _ACROSS = _HEIGHT - _TOP - _FOOT, svg.WIDTH - _LEFT - 14
_MOST_LIMITS = 4.0
_Step = tuple[int, float | None]
_Place = Callable[[int, float], tuple[float, float]]


class TimedText(Protocol):
    """A text at a time (ns)."""

    @property
    def time(self) -> int: ...
    @property
    def text(self) -> str: ...


def draw(
    points: Sequence[PastVerdict], changes: Sequence[TimedText] = (), write: Callable[[Any], str] = shown
) -> Markup:
    """Draw the picture; empty without points. `write` formats values."""
    if not points:
        return Markup("")
    # A window is judged again when its ground truth arrives: the newest verdict counts.
    points = sorted({point.end: point for point in points}.values(), key=lambda point: point.end)
    values = [(point.end, number(point.value)) for point in points]
    thresholds = [(point.end, number(point.threshold)) for point in points]
    ends = [(point.end, end) for point in points for end in _interval(point)]
    low, high = _reach([*ends, *values], thresholds)
    low, high = low - (high - low) * 0.08 * (low < 0), high + (high - low) * 0.08 or 1.0
    first, last = points[0].end, points[-1].end

    def at(end: int, value: float) -> tuple[float, float]:
        across = (end - first) / (last - first) if last > first else 0.5
        return _LEFT + across * _ACROSS, _TOP + _PLOT - (min(max(value, low), high) - low) / (high - low) * _PLOT

    parts = [*_band(points, at), *_axis(low, high, at, first, write), *_changes(changes, at, first, last, low)]
    parts += _threshold(thresholds, at)
    parts += [svg.line("value", [at(end, value) for end, value in run]) for run in _runs(values)]
    radius = 3.0 if len(points) <= 150 else 2.0
    for point, (end, value) in zip(points, values, strict=True):
        kind = point.status if point.status in {"ok", "breach", "no_data", "error"} else "error"
        if value is None:
            x = at(end, low)[0]
            parts.append(svg.rectangle(kind, x - 1.5, _TOP + _PLOT - 7, 3, 7, f"{when(end)}: {point.status}"))
        else:
            between = " ({} to {})".format(*map(write, reach)) if (reach := _interval(point)) else ""
            tip = f"{when(end)}: {write(value)}{between}, {point.status}"
            parts.append(svg.dot(kind, *at(end, value), radius, tip))
    parts += [*_times(first, last), *_outside(values, low, high, write)]
    return svg.picture(parts, _HEIGHT, "value over time")


def _interval(point: PastVerdict) -> tuple[float, ...]:
    low, high = number(point.low), number(point.high)
    return () if low is None or high is None else (low, high)


def _band(points: Sequence[PastVerdict], at: _Place) -> list[str]:
    """Draw the intervals as a band, or as a stroke if the neighbours have no interval."""
    runs: list[list[tuple[int, float, float]]] = [[]]
    for point in points:
        if ends := _interval(point):
            runs[-1].append((point.end, ends[0], ends[1]))
        elif runs[-1]:
            runs.append([])
    parts = []
    for run in filter(None, runs):
        if len(run) == 1:
            end, low, high = run[0]
            (x, top), (_, foot) = at(end, high), at(end, low)
            parts.append(svg.rectangle("band", x - 3, top, 6, foot - top))
        else:
            upper, lower = [at(end, high) for end, _, high in run], [at(end, low) for end, low, _ in run]
            parts.append(svg.area("band", [*upper, *reversed(lower)]))
    return parts


def _changes(changes: Sequence[TimedText], at: _Place, first: int, last: int, low: float) -> list[str]:
    parts = []
    for change in changes:
        if first <= change.time <= last:
            x = at(change.time, low)[0]
            parts.append(svg.rectangle("change", x - 0.75, _TOP, 1.5, _PLOT))
            parts.append(svg.dot("change", x, _TOP, 4.0, f"{when(change.time)}: {change.text}"))
    return parts


def _reach(values: Sequence[_Step], thresholds: Sequence[_Step]) -> tuple[float, float]:
    """Return the lowest and highest value to show; an old outlier must not flatten the recent values."""
    limits = [abs(value) for _, value in thresholds if value is not None]
    known = [value for _, value in values if value is not None]
    everything = [0.0, *known, *(value for _, value in thresholds if value is not None)]
    low, high = min(everything), max(everything)
    if limits and known and max(limits) > 0:
        most = _MOST_LIMITS * max(*limits, abs(known[-1]))
        low, high = max(low, -most), min(high, most)
    return low, high


def _outside(values: Sequence[_Step], low: float, high: float, write: Callable[[Any], str]) -> list[str]:
    known = [value for _, value in values if value is not None]
    parts = []
    if max(known, default=0.0) > high:
        parts.append(svg.words(svg.WIDTH - 8, _TOP + 2, f"↑ up to {write(max(known))}", "end"))
    if min(known, default=0.0) < low:
        parts.append(svg.words(svg.WIDTH - 8, _TOP + _PLOT - 10, f"↓ down to {write(min(known))}", "end"))
    return parts


def _axis(low: float, high: float, at: _Place, first: int, write: Callable[[Any], str]) -> list[str]:
    parts = []
    for mark in svg.round_steps(low, high):
        y = at(first, mark)[1]
        parts.append(svg.line("grid", [(_LEFT, y), (svg.WIDTH - 8, y)]))
        parts.append(svg.words(_LEFT - 6, y + 4, write(mark), "end"))
    return parts


def _threshold(thresholds: Sequence[_Step], at: _Place) -> list[str]:
    parts = []
    for run in _runs(thresholds):
        line = [at(end, value) for end, value in run]
        if len(line) == 1:  # a single point would be invisible
            (x, y) = line[0]
            line = [(max(x - 12, _LEFT), y), (min(x + 12, svg.WIDTH - 8), y)]
        parts.append(svg.line("threshold", line))
    return parts


def _times(first: int, last: int) -> list[str]:
    if last <= first:
        return [svg.words(_LEFT + _ACROSS / 2, _HEIGHT - 10, when(first), "middle")]
    places = (("start", first), ("middle", (first + last) // 2), ("end", last))
    return [
        svg.words(_LEFT + _ACROSS * place / 2, _HEIGHT - 10, when(end), anchor)
        for place, (anchor, end) in enumerate(places)
    ]


def _runs(steps: Sequence[_Step]) -> Iterable[list[tuple[int, float]]]:
    """Split the steps into runs without a gap; a window without a value and a window without a verdict are gaps."""
    usual = median([after[0] - before[0] for before, after in zip(steps, steps[1:], strict=False)] or [0])
    runs: list[list[tuple[int, float]]] = [[]]
    before = steps[0][0]
    for end, value in steps:
        if value is None or end - before > 2.5 * usual:
            runs.append([])
        if value is not None:
            runs[-1].append((end, value))
        before = end
    return [run for run in runs if run]
