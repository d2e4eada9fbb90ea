"""Draw the delay of ground truth, estimates with their realised values, and confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import length, number, shown, when
from otel_mlmon.values.evidence import EstimatedWindow
from otel_mlmon.values.explanation import ConfusionCell, GroundTruthFigures

_LEFT, _TOP, _FOOT, _RIGHT = 58.0, 12.0, 30.0, 14.0
_ACROSS = svg.WIDTH - _LEFT - _RIGHT
_MOST = 60
_CLASSES = 13


def arrivals(figures: GroundTruthFigures) -> tuple[Markup, str]:
    """Draw the share of predictions with ground truth by its delay, and describe it. Empty where none arrived."""
    known = [
        (delay, share)
        for point in figures.arrived
        if (delay := number(point.delay)) is not None and (share := number(point.share)) is not None
    ]
    longest, most = max((d for d, _ in known), default=0.0), max((s for _, s in known), default=0.0)
    if len(known) < 2 or not 0 < longest < 1e19 or not 0 < most <= 1:
        return Markup(""), ""
    plot = 150.0

    def at(delay: float, share: float) -> tuple[float, float]:
        return _LEFT + delay / longest * _ACROSS, _TOP + (1 - min(max(share, 0.0), 1.0)) * plot

    parts = []
    for mark in (0.0, 0.5, 1.0):
        parts.append(svg.line("grid", [at(0, mark), at(longest, mark)]))
        parts.append(svg.words(_LEFT - 6, at(0, mark)[1] + 4, f"{mark:.0%}", "end"))
    parts.append(svg.line("curve", [at(delay, share) for delay, share in known]))
    old = number(figures.old_enough) or 0.0
    if old < longest:
        x = at(max(old, 0.0), 0)[0]
        parts.append(
            svg.rectangle("young", x, _TOP, _LEFT + _ACROSS - x, plot, "some predictions are younger than this")
        )
    for place in range(5):
        anchor = ("start", "middle", "middle", "middle", "end")[place]
        parts.append(svg.words(_LEFT + _ACROSS * place / 4, _TOP + plot + 18, length(longest * place / 4), anchor))
    half, nearly = (next(delay for delay, share in known if share >= part * most) for part in (0.5, 0.9))
    caption = f"Half of the ground truth so far took at most {length(half)}, nine tenths {length(nearly)}."
    if old < longest:
        caption += f" Some predictions of the window are younger than {length(old)} (pale): more is to come."
    label = "share of the predictions with ground truth, by delay"
    return svg.picture(parts, plot + _TOP + _FOOT, label), caption


def ledger(windows: Sequence[EstimatedWindow]) -> tuple[Markup, str]:
    """Draw estimates with their intervals and realised values, and count the misses. Empty without estimates."""
    rows = [row for row in windows if None not in map(number, (row.estimate, row.low, row.high))][-_MOST:]
    figures = (number(figure) for row in rows for figure in (row.low, row.high, row.realised))
    ends = [end for end in figures if end is not None]
    if not rows or max(map(abs, ends)) > 1e300:
        return Markup(""), ""
    pad = 0.12 * (max(ends) - min(ends)) or abs(ends[0]) or 1.0
    low, high, plot = min(ends) - pad, max(ends) + pad, 180.0
    step = _ACROSS / len(rows)

    def height(value: float) -> float:
        return _TOP + plot - (value - low) / ((high - low) or 1.0) * plot

    parts = []
    for mark in svg.round_steps(low, high):
        parts.append(svg.line("grid", [(_LEFT, height(mark)), (_LEFT + _ACROSS, height(mark))]))
        parts.append(svg.words(_LEFT - 6, height(mark) + 4, shown(mark), "end"))
    scored = missed = 0
    for place, row in enumerate(rows):
        x, reach = _LEFT + (place + 0.5) * step, min(step * 0.3, 12.0)
        realised = number(row.realised)
        inside = realised is not None and row.low <= realised <= row.high
        interval = f"{shown(row.low)} to {shown(row.high)}"
        tip = f"{when(row.end)}: estimated {shown(row.estimate)} ({interval}), realised: {shown(realised)}"
        bar = max(height(row.low) - height(row.high), 1)
        parts.append(svg.rectangle("band", x - reach, height(row.high), 2 * reach, bar, tip))
        parts.append(svg.rectangle("mark", x - reach, height(row.estimate) - 1, 2 * reach, 2, tip))
        if realised is not None:
            scored, missed = scored + 1, missed + (not inside)
            parts.append(svg.dot("right" if inside else "wrong", x, height(realised), 4, tip))
    parts.append(svg.words(_LEFT, _TOP + plot + 18, when(rows[0].end)))
    parts.append(svg.words(_LEFT + _ACROSS, _TOP + plot + 18, when(rows[-1].end), "end"))
    caption = (
        f"Of {scored} estimates whose ground truth is final, {missed} missed: the value is outside the 95 % interval."
        if scored
        else "None of these windows has its final ground truth yet, so no estimate could be checked."
    )
    return svg.picture(parts, plot + _TOP + _FOOT, "estimates with intervals and realised values"), caption


def confusion(cells: Sequence[ConfusionCell]) -> Markup:
    """Draw a matrix with a row per class of the ground truth and a column per prediction; darker is a larger share."""
    names = list(dict.fromkeys(cell.truth for cell in cells))[:_CLASSES]
    by_pair = {(cell.truth, cell.prediction): cell for cell in cells}
    if len(names) < 2:
        return Markup("")
    left, top = 150.0, 44.0
    wide = min(150.0, (svg.WIDTH - left) / len(names))
    high = 62.0 if any(number(cell.worth) is not None for cell in cells) else 44.0
    parts = [svg.words(left + wide * len(names) / 2, 14, "predicted", "middle")]
    room = max(3, int(wide / 7))
    for place, name in enumerate(names):
        x, y = left + (place + 0.5) * wide, top + (place + 0.5) * high + 4
        parts.append(svg.words(x, top - 10, svg.cut(name, room), "middle", "strong", tip=name))
        parts.append(svg.words(left - 10, y, svg.cut(f"is {name}", 20), "end", "strong", tip=name))
        for column, prediction in enumerate(names):
            cell = by_pair.get((name, prediction)) or ConfusionCell(name, prediction, 0, None, None, None)
            parts += _cell(cell, left + column * wide, top + place * high, wide, high)
    return svg.picture(parts, top + high * len(names) + 6, "predictions against the ground truth")


def _cell(cell: ConfusionCell, x: float, y: float, wide: float, high: float) -> list[str]:
    rows, share, usual, worth = map(number, (cell.rows, cell.share, cell.usual, cell.worth))
    percentage = "" if share is None else svg.percent(share)
    usually = "" if usual is None else f"usually {svg.percent(usual)}"
    each = "" if worth is None else f"{shown(worth)} each: {shown((rows or 0) * worth)}"
    details = ", ".join(filter(None, (percentage, usually, each)))
    tip = f"{cell.truth} predicted as {cell.prediction}: {shown(rows)} ({details})"
    kind, opacity = "right" if cell.truth == cell.prediction else "wrong", 0.55 * min(max(share or 0.0, 0.0), 1.0)
    title = shown(rows) if wide < 100 else f"{shown(rows)}  {percentage}"
    parts = [
        svg.rectangle(kind, x, y, wide, high, tip, opacity=opacity),
        svg.rectangle("cell", x, y, wide, high, tip),
        svg.words(x + wide / 2, y + 18, title, "middle", "strong", tip),
    ]
    lines = [line for line in (usually, each) if line] if wide >= 100 else []
    return parts + [
        svg.words(x + wide / 2, y + 34 + 16 * place, line, "middle", "", tip) for place, line in enumerate(lines)
    ]
