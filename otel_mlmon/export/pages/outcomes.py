"""What came of predictions, as pictures: when their truth was known, what estimates came to, what was said against what was true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import length, number, shown, when

_LEFT, _TOP, _FOOT, _RIGHT = 58.0, 12.0, 30.0, 14.0
_ACROSS = svg.WIDTH - _LEFT - _RIGHT
_MOST = 60
_CLASSES = 13
Row = Mapping[str, Any]


def arrivals(points: Sequence[Row], old_enough: Any) -> tuple[Markup, str]:
    """The share of predictions whose truth was known, by delay (ns); and how long it took, in words. Empty where nothing came."""
    known = [
        (delay, share)
        for one in points
        if (delay := number(one.get("delay"))) is not None and (share := number(one.get("share"))) is not None
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
    old = number(old_enough) or 0.0
    if old < longest:
        x = at(max(old, 0.0), 0)[0]
        parts.append(svg.rectangle("young", x, _TOP, _LEFT + _ACROSS - x, plot, "not all predictions are so old yet"))
    for place in range(5):
        anchor = ("start", "middle", "middle", "middle", "end")[place]
        parts.append(svg.words(_LEFT + _ACROSS * place / 4, _TOP + plot + 18, length(longest * place / 4), anchor))
    half, nearly = (next(delay for delay, share in known if share >= part * most) for part in (0.5, 0.9))
    said = f"Half of what has come took at most {length(half)}, nine tenths {length(nearly)}."
    if old < longest:
        said += f" From {length(old)} on (pale) not all predictions of the window are so old yet: more is to come."
    return svg.picture(
        parts, plot + _TOP + _FOOT, "share of the predictions whose ground truth is known, by delay"
    ), said


def ledger(entries: Sequence[Row]) -> tuple[Markup, str]:
    """Estimates with their bands, and what came true; and how many missed."""
    rows = [one for one in entries if None not in [number(one.get(key)) for key in ("estimate", "low", "high")]][
        -_MOST:
    ]
    ends = [end for one in rows for key in ("low", "high", "realised") if (end := number(one.get(key))) is not None]
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
    for place, one in enumerate(rows):
        x, reach = _LEFT + (place + 0.5) * step, min(step * 0.3, 12.0)
        said, least, most = (number(one.get(key)) or 0.0 for key in ("estimate", "low", "high"))
        came = number(one.get("realised"))
        inside = came is not None and least <= came <= most
        tip = f"{when(one.get('end'))}: estimated {shown(said)} ({shown(least)} to {shown(most)}), came true: {shown(came)}"
        parts.append(
            svg.rectangle("band", x - reach, height(most), 2 * reach, max(height(least) - height(most), 1), tip)
        )
        parts.append(svg.rectangle("mark", x - reach, height(said) - 1, 2 * reach, 2, tip))
        if came is not None:
            scored, missed = scored + 1, missed + (not inside)
            parts.append(svg.dot("right" if inside else "wrong", x, height(came), 4, tip))
    parts.append(svg.words(_LEFT, _TOP + plot + 18, when(rows[0].get("end"))))
    parts.append(svg.words(_LEFT + _ACROSS, _TOP + plot + 18, when(rows[-1].get("end")), "end"))
    if not scored:
        said_of = "None of these windows has its final ground truth yet, so that no estimate could be checked."
    else:
        said_of = f"Of {scored} estimates whose ground truth is final, {missed} came out beyond their band of 95 %."
    return svg.picture(parts, plot + _TOP + _FOOT, "estimates with their bands and what came true"), said_of


def confusion(cells: Sequence[Row]) -> Markup:
    """A matrix: a row for each truth, a column for each prediction, the darker the larger the share of the row."""
    names = list(dict.fromkeys(str(one.get("truth")) for one in cells))[:_CLASSES]
    there = {(str(one.get("truth")), str(one.get("prediction"))): one for one in cells}
    if len(names) < 2:
        return Markup("")
    worth = any(number(one.get("worth")) is not None for one in cells)
    left, top = 150.0, 44.0
    wide = min(150.0, (svg.WIDTH - left) / len(names))
    high = 62.0 if worth else 44.0
    parts = [svg.words(left + wide * len(names) / 2, 14, "predicted", "middle")]
    room = max(3, int(wide / 7))
    for place, name in enumerate(names):
        parts.append(
            svg.words(left + (place + 0.5) * wide, top - 10, svg.cut(name, room), "middle", "strong", tip=name)
        )
        y = top + (place + 0.5) * high + 4
        parts.append(svg.words(left - 10, y, svg.cut(f"is {name}", 20), "end", "strong", tip=name))
        for column, said in enumerate(names):
            parts += _cell(
                there.get((name, said), {}), left + column * wide, top + place * high, wide, high, name == said
            )
    return svg.picture(parts, top + high * len(names) + 6, "predictions against the truth")


def _cell(one: Row, x: float, y: float, wide: float, high: float, right: bool) -> list[str]:
    rows, share, usual, worth = (number(one.get(key)) for key in ("rows", "share", "usual", "worth"))
    said = "" if share is None else svg.percent(share)
    then = "" if usual is None else f"usually {svg.percent(usual)}"
    each = "" if worth is None else f"{shown(worth)} each: {shown((rows or 0) * worth)}"
    tip = f"{one.get('truth')} predicted as {one.get('prediction')}: {shown(rows)} ({', '.join(filter(None, (said, then, each)))})"
    parts = [
        svg.rectangle(
            "right" if right else "wrong", x, y, wide, high, tip, opacity=0.55 * min(max(share or 0.0, 0.0), 1.0)
        ),
        svg.rectangle("cell", x, y, wide, high, tip),
        svg.words(
            x + wide / 2, y + 18, shown(rows) if wide < 100 else f"{shown(rows)}  {said}", "middle", "strong", tip
        ),
    ]
    lines = [line for line in (then, each) if line] if wide >= 100 else []
    return parts + [
        svg.words(x + wide / 2, y + 34 + 16 * place, line, "middle", "", tip) for place, line in enumerate(lines)
    ]
