"""Draw two distributions over each other: wide pale bars for the reference, narrow strong bars for the window."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from otel_mlmon.export.pages import svg
from otel_mlmon.export.pages.wording import number
from otel_mlmon.values.evidence import Distribution

MOST_CATEGORIES = 20
_MOST_BINS = 60
_Pair = tuple[float, float]  # shares: reference, window


def draw(distribution: Distribution | None) -> tuple[Markup, str]:
    """Return picture and caption, both empty where there is nothing to draw."""
    if distribution is None:
        return Markup(""), ""
    pairs = list(zip(_shares(distribution.reference), _shares(distribution.window), strict=False))
    edges = [edge for edge in map(number, distribution.edges or ()) if edge is not None]
    if not pairs or not any(map(any, pairs)):
        return Markup(""), ""
    if distribution.kind == "numeric" and 0 < len(edges) == len(pairs) - 1 <= _MOST_BINS:
        return _numeric(edges, pairs)
    labels = list(distribution.labels)
    labels += [f"bin {place + 1}" for place in range(len(labels), len(pairs))]
    return _categories(labels, pairs)


def _numeric(edges: Sequence[float], pairs: Sequence[_Pair]) -> tuple[Markup, str]:
    """Draw bars of equal width, one per bin of the reference.

    On an axis of values, the bins of a long tail would be too narrow and too wide, and a single value would have no
    width.
    """
    left, top, foot, height = 46.0, 14.0, 40.0, 260.0
    single = len(edges) > 1 and edges[-1] == edges[-2]  # the reference's mark for a bin for each value
    plot, step = height - top - foot, (svg.WIDTH - left - 10) / len(pairs)
    most = max(max(pair) for pair in pairs) * 1.1
    parts = _grid(left, top, plot, most)
    every = max(1, round(52 / step))
    for place, (then, now) in enumerate(pairs):
        x, tip = left + place * step, f"{_bin(edges, place)}: reference {then:.2%}, window {now:.2%}"
        for kind, share, inset in (("ref", then, 0.04), ("win", now, 0.27)):
            bar = share / most * plot
            parts.append(svg.rectangle(kind, x + step * inset, top + plot - bar, step * (1 - 2 * inset), bar, tip))
        outer = place in {0, len(pairs) - 1}
        if outer:
            label = f"< {edges[0]:.4g}" if place == 0 else f"> {edges[-1]:.4g}"
            at = (x + step / 2, "middle") if place == 0 else (svg.WIDTH - 2.0, "end")
            parts.append(svg.words(at[0], top + plot + 32, label, at[1], "outer"))
        if single and not outer and place % every == 0:
            parts.append(svg.words(x + step / 2, top + plot + 16, f"{edges[place - 1]:.4g}", "middle"))
        elif not single and place and (place - 1) % every == 0:
            parts.append(svg.words(x, top + plot + 16, f"{edges[place - 1]:.4g}", "middle"))
    caption = (
        "Share of the finite values in each bin. There is one bin for each value that the reference has"
        if single
        else "Share of the finite values in each bin, whose edges stand below. The bins are the reference's own: each "
        "holds about the same share of it, at the ends less, so that the pale bars are nearly level by construction; "
        "bars of equal width are not equally wide ranges"
    )
    return svg.picture(parts, height, "share of values per bin"), (
        f"{caption}; the first and the last bar are values below and above all that the reference has."
    )


def _bin(edges: Sequence[float], place: int) -> str:
    if place == 0:
        return f"below {edges[0]:.6g}"
    if place == len(edges):
        return f"above {edges[-1]:.6g}"
    low, high = edges[place - 1], edges[place]
    return f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"


def _categories(labels: Sequence[str], pairs: Sequence[_Pair]) -> tuple[Markup, str]:
    """Draw a row per category; the smallest categories share a row."""
    order = sorted(range(len(pairs)), key=lambda i: -max(pairs[i]))
    rows = [(labels[i], pairs[i]) for i in sorted(order[:MOST_CATEGORIES]) if any(pairs[i])]
    rest = [pairs[i] for i in order[MOST_CATEGORIES:] if any(pairs[i])]
    if rest:
        rows.append((f"{len(rest)} smaller ones", (sum(p[0] for p in rest), sum(p[1] for p in rest))))
    left, right, step = 190.0, 110.0, 26.0
    most, plot = max(max(pair) for _, pair in rows), svg.WIDTH - left - right
    parts: list[str] = []
    for place, (label, (then, now)) in enumerate(rows):
        y, tip = place * step + 4, f"{label}: reference {then:.2%}, window {now:.2%}"
        parts.append(svg.words(left - 8, y + 14, svg.cut(label, 26), "end", tip=label))
        parts.append(svg.rectangle("ref", left, y, then / most * plot, step - 6, tip))
        parts.append(svg.rectangle("win", left, y + 5, now / most * plot, step - 16, tip))
        change = f"{svg.percent(then)} → {svg.percent(now)}"
        parts.append(svg.words(svg.WIDTH - 2, y + 14, change, "end"))
    return svg.picture(parts, len(rows) * step + 6, "share of each category"), (
        "Share of each category, reference → window."
    )


def _grid(left: float, top: float, plot: float, most: float) -> list[str]:
    parts = []
    for mark in svg.round_steps(0.0, most):
        y = top + plot - mark / most * plot
        parts.append(svg.line("grid", [(left, y), (svg.WIDTH - 8, y)]))
        parts.append(svg.words(left - 6, y + 4, svg.percent(mark), "end"))
    return parts


def _shares(shares: Sequence[float]) -> list[float]:
    return [max(number(share) or 0.0, 0.0) for share in shares]
