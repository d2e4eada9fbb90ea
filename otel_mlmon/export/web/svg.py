"""Pictures as inline SVG: two distributions over each other, and a value over time. Text in, text out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape

from otel_mlmon.export.source import HistoryPoint

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 240, 56, 44, 12
_MOST_BARS = 24


def distribution(labels: Sequence[str], reference: Sequence[float], window: Sequence[float]) -> Markup:
    """Pairs of bars, one pair per bin or category: wide and pale the reference, narrow and strong the window."""
    n = min(len(labels), len(reference), len(window))
    if n == 0:
        return Markup("")
    shown = sorted(sorted(range(n), key=lambda i: -max(_number(reference[i]), _number(window[i])))[:_MOST_BARS])
    top = max([_number(v) for i in shown for v in (reference[i], window[i])] + [1e-9]) * 1.08
    step = (WIDTH - LEFT - 8) / len(shown)
    plot = HEIGHT - BOTTOM - TOP
    parts = [_axis(top, percent=True)]
    for place, index in enumerate(shown):
        x = LEFT + place * step
        for share, inset, name in ((reference[index], 0.08, "ref"), (window[index], 0.28, "win")):
            height = _number(share) / top * plot
            parts.append(
                f'<rect class="{name}" x="{x + step * inset:.1f}" y="{TOP + plot - height:.1f}" '
                f'width="{step * (1 - 2 * inset):.1f}" height="{height:.1f}">'
                f"<title>{escape(labels[index])}: {_number(share):.2%}</title></rect>"
            )
        text = labels[index] if len(labels[index]) <= 14 else labels[index][:13] + "…"
        parts.append(_tick_label(x + step / 2, text, tilted=step < 58))
    return _svg(parts, "reference and window")


def numeric_labels(edges: Sequence[float]) -> list[str]:
    """One label per bin: below the first edge, between edges, above the last."""
    if not edges:
        return []
    inner = [
        f"{low:.4g}" if low == high else f"{low:.4g}-{high:.4g}" for low, high in zip(edges, edges[1:], strict=False)
    ]
    return [f"<{edges[0]:.4g}", *inner, f">{edges[-1]:.4g}"]


def history(points: Sequence[HistoryPoint]) -> Markup:
    """The value as a line, the threshold dashed, windows without data as gaps marked at the foot."""
    if not points:
        return Markup("")
    known = [v for p in points for v in (p.value, p.threshold) if v is not None and math.isfinite(v)]
    low, high = min([0.0, *known]), max([1e-9, *known]) * 1.08
    first, last = points[0].end, max(points[-1].end, points[0].end + 1)
    plot = HEIGHT - BOTTOM - TOP

    def at(end: int, value: float) -> str:
        x = LEFT + (end - first) / (last - first) * (WIDTH - LEFT - 12)
        return f"{x:.1f},{TOP + plot - (value - low) / (high - low) * plot:.1f}"

    parts = [_axis(high, low=low)]
    for name, series in (
        ("threshold", [(p.end, p.threshold) for p in points]),
        ("value", [(p.end, p.value) for p in points]),
    ):
        for run in _runs(series):
            parts.append(f'<polyline class="{name}" points="{" ".join(at(e, v) for e, v in run)}"/>')
    for point in points:
        if point.value is not None and math.isfinite(point.value):
            x, y = at(point.end, point.value).split(",")
            parts.append(f'<circle class="{point.status}" cx="{x}" cy="{y}" r="3"><title>{_when(point.end)}: '
                         f"{point.value:.4g} ({point.status})</title></circle>")  # fmt: skip
        else:
            x, y = at(point.end, low).split(",")
            parts.append(f'<circle class="no_data" cx="{x}" cy="{y}" r="3"><title>{_when(point.end)}: '
                         f"{point.status}</title></circle>")  # fmt: skip
    for end, anchor in ((first, "start"), (last, "end")):
        x = at(end, low).split(",")[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}">{_when(end)}</text>')
    return _svg(parts, "value over time")


def _runs(series: Sequence[tuple[int, float | None]]) -> list[list[tuple[int, float]]]:
    """Stretches without a gap."""
    runs: list[list[tuple[int, float]]] = [[]]
    for end, value in series:
        if value is None or not math.isfinite(value):
            runs.append([])
        else:
            runs[-1].append((end, value))
    return [run for run in runs if run]


def _axis(top: float, *, low: float = 0.0, percent: bool = False) -> str:
    lines = []
    plot = HEIGHT - BOTTOM - TOP
    for part in range(5):
        y = TOP + plot - part / 4 * plot
        value = low + (top - low) * part / 4
        text = f"{value:.0%}" if percent and top > 0.1 else f"{value:.1%}" if percent else f"{value:.3g}"
        lines.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(lines)


def _tick_label(x: float, text: str, *, tilted: bool) -> str:
    y = HEIGHT - BOTTOM + 14
    if tilted:
        return f'<text x="{x:.1f}" y="{y}" text-anchor="end" transform="rotate(-28 {x:.1f} {y})">{escape(text)}</text>'
    return f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{escape(text)}</text>'


def _svg(parts: Sequence[str], label: str) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704 - every text from outside was escaped above
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{body}</svg>'
    )


def _number(value: float | None) -> float:
    return 0.0 if value is None or not math.isfinite(value) else float(value)


def _when(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
