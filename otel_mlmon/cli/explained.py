"""Print an explanation on a terminal: six answers with their figures."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from otel_mlmon.cli.terminal import table
from otel_mlmon.export.measures import is_share, measured
from otel_mlmon.values.explanation import (
    Changes,
    Examples,
    Explanation,
    Features,
    Fired,
    GroundTruthFigures,
    History,
    Where,
)

Write = Callable[[Any], str]
_BAR: Final = 12
_LONG_NUMBER: Final = re.compile(r"-?\d{1,12}\.\d{4,}")
_EXAMPLE: Final = ("prediction_id", "time", "value", "prediction", "shadow", "ground_truth", "trace_id")
_WHAT_IF: Final = {"present": "present threshold", "other": "", "silent": "nearest threshold without an alert"}
_TIMES: Final = (("since", "since"), ("fired", "fired_at"), ("resolved", "resolved_at"))


def show(explanation: Explanation, console: Console, page: str = "") -> None:
    """Print the six answers in their order; parts that could not be determined are listed at the end."""
    write = writer(explanation)
    names = (("model", "model"), ("version", "version"), ("field", "feature"), ("segment", "segment"))
    about = " · ".join(f"{name} {getattr(explanation, key)}" for key, name in names if getattr(explanation, key))
    title = escape(f"{explanation.group} / {explanation.rule}")
    console.print(f"[bold]{title}[/bold]  {escape(about)}  [dim]{escape(explanation.alert)}[/dim]")
    measure = measured(explanation.check, explanation.method)
    parts: tuple[tuple[str, str, Callable[[Any], None]], ...] = (
        ("fired", "1  What fired, and since when", lambda p: _fired(console, p, measure, write)),
        ("where", "2  Where: the worst slices", lambda part: _where(console, part)),
        ("features", "3  Feature drift: distance × importance", lambda part: _features(console, part)),
        ("changes", "4  Changes just before", lambda part: _changes(console, part)),
        ("examples", "5  Predictions to look at", lambda part: _examples(console, part)),
        ("history", "6  The rule's history, and other thresholds", lambda part: _history(console, part, write)),
    )
    for key, heading, print_part in parts:
        console.print(f"\n[bold cyan]{heading}[/bold cyan]")
        if getattr(explanation, key):
            print_part(getattr(explanation, key))
        else:
            console.print("could not be determined", style="yellow")
        if key == "where" and explanation.outcomes:
            _ground_truth(console, explanation.outcomes)
    if explanation.missing:
        console.print(f"\n[yellow]could not be determined: {escape('; '.join(explanation.missing))}[/yellow]")
    if page:
        console.print(f"\n[dim]page with pictures: {escape(page)}[/dim]", soft_wrap=True)


def _fired(console: Console, fired: Fired, measure: str, write: Write) -> None:
    result, message = fired.result, fired.result.message
    for note in fired.notes:
        message = message.replace(f"; {note.text}", "")
    console.print(escape(message))
    rows = f"{result.rows} rows" + (f", reference {result.reference_rows}" if result.reference_rows else "")
    tests = (("p", result.p_value), ("q", result.q_value))
    significance = ", ".join(f"{name} {value:.2g}" for name, value in tests if value is not None) or "not tested"
    value = f"{write(result.value)}{_between(result.low, result.high, write)}"
    console.print(f"{fired.phase}; {measure}: {value}, limit {write(result.threshold)}; {significance}; {rows}")
    since = [f"{name} {time_of(getattr(fired, key))}" for name, key in _TIMES if getattr(fired, key)]
    console.print(f"{', '.join(since)}; window {time_of(fired.start)} to {time_of(fired.end)} (UTC)")
    if result.coverage is not None:
        maturity = result.maturity or "provisional"
        console.print(f"ground truth of {result.coverage:.0%} of the predictions is known; {maturity}")
    for note in fired.notes:
        console.print(f"[yellow]{escape(note.kind)}: {escape(note.text)}[/yellow]")


def _where(console: Console, where: Where) -> None:
    if where.note:
        console.print(escape(where.note))
    if not where.slices:
        return
    lines = table("slice", "rows", "value", "95 % interval", "expected", "p", title=escape(where.measure))
    lines.add_row("all of them", str(where.rows), _number(where.value), "", _number(where.expected), "", style="dim")
    for part in where.slices:
        interval = _between(part.low, part.high).strip(" ()")
        p_value = "" if part.p_value is None else f"{part.p_value:.2g}"
        figures = str(part.rows), _number(part.value), interval, _number(part.expected), p_value
        lines.add_row(escape(part.name), *figures)
    console.print(lines)


def _ground_truth(console: Console, figures: GroundTruthFigures) -> None:
    if figures.confusion:
        columns = ("ground truth", "predicted", "rows", "share of the ground truth", "usually", "worth each")
        lines = table(*columns, title="\npredictions against the ground truth")
        for cell in figures.confusion:
            style = "" if cell.truth == cell.prediction else "red" if cell.rows else "dim"
            numbers = str(cell.rows), _percent(cell.share), _percent(cell.usual), _number(cell.worth)
            lines.add_row(escape(cell.truth), escape(cell.prediction), *numbers, style=style)
        console.print(lines)
    if figures.arrived:
        most = figures.arrived[-1].share
        half, nearly = (next(one.delay for one in figures.arrived if one.share >= part * most) for part in (0.5, 0.9))
        times = f"half of it within {length_of(half)}, nine tenths within {length_of(nearly)}"
        console.print(f"the ground truth of {most:.0%} of the predictions has arrived: {times}")
    scored = [(window, window.realised) for window in figures.ledger if window.realised is not None]
    if scored:
        lines = table("window until", "estimated", "interval", "realised", "", title="\nestimates and realised values")
        for window, realised in scored[-10:]:
            interval = _between(window.low, window.high).strip(" ()")
            missed = "" if window.low <= realised <= window.high else "[red]outside[/red]"
            lines.add_row(time_of(window.end), _number(window.estimate), interval, _number(realised), missed)
        console.print(lines)


def _features(console: Console, features: Features) -> None:
    drifted = [feature for feature in features.ranking if feature.score > 0]
    most = max((feature.score for feature in drifted), default=0.0)
    lines = table("feature", "", "score", "distance", "importance", "largest change")
    for feature in drifted:
        bar = "█" * max(1, round(_BAR * feature.score / most))
        figures = map(_number, (feature.score, feature.distance, feature.importance))
        lines.add_row(escape(feature.feature), f"[cyan]{bar}[/cyan]", *figures, escape(feature.change))
    console.print(lines if drifted else "no feature that the model uses has drifted")
    console.print(f"[dim]{escape(features.note)}[/dim]")


def _changes(console: Console, changes: Changes) -> None:
    if not changes.events:
        console.print(f"no change was seen between {time_of(changes.start)} and {time_of(changes.end)}")
        return
    lines = table("when", "before the first breach", "kind", "")
    for change in changes.events:
        text = change.text if change.kind == "feature_set" else f"{change.value}  {change.text}"
        kind = change.kind.replace("_", " ")
        lines.add_row(time_of(change.time), length_of(change.before), kind, escape(text))
    console.print(lines)


def _examples(console: Console, examples: Examples) -> None:
    rows = examples.rows
    if not rows:
        console.print("no prediction of the window is stored")
    keys = [key for key in _EXAMPLE if any(row.get(key) not in (None, "") for row in rows)]
    # One table per slice, since its name is long and the ids must stay whole for copying.
    for name, part in groupby(rows, key=lambda row: row.get("slice") or ""):
        lines = table(*(key.replace("_", " ") for key in keys), title=escape(name) or None)
        for column, key in zip(lines.columns, keys, strict=True):
            column.no_wrap = key == "trace_id"
        for row in part:
            lines.add_row(*(time_of(row[key]) if key == "time" else escape(_shortened(row.get(key))) for key in keys))
        console.print(lines)


def _history(console: Console, history: History, write: Write) -> None:
    ticks = history.ticks
    breaches = sum(tick.status == "breach" for tick in ticks)
    if ticks:
        console.print(f"{len(ticks)} verdicts since {time_of(ticks[0].end)}, {breaches} of them breaches")
    lines = table("threshold", "", "would have fired", "for", "would be firing")
    for row in history.what_if:
        now = f"since {time_of(row.since)}" if row.since else "no"
        times = f"{row.episodes} {'time' if row.episodes == 1 else 'times'}"
        style = "bold" if row.kind == "present" else ""
        lines.add_row(write(row.threshold), _WHAT_IF[row.kind], times, length_of(row.firing), now, style=style)
    if history.what_if:
        console.print(lines)
    console.print(f"[dim]{escape(history.note)}[/dim]")
    if history.revisions:
        known = table("known at", "ground truth", "value", "interval", "", title="\nrevisions of the window")
        for revision in history.revisions[-10:]:
            share = "" if revision.coverage is None else f"{revision.with_truth} ({revision.coverage:.0%})"
            interval = _between(revision.low, revision.high, write).strip(" ()")
            known.add_row(time_of(revision.known), share, write(revision.value), interval, revision.maturity)
        console.print(known)


def writer(explanation: Explanation) -> Write:
    """Return the format of the alert's value: a percentage for a share."""
    return _percent if is_share(explanation.check, explanation.method) else _number


def _between(low: float | None, high: float | None, write: Write | None = None) -> str:
    if low is None or high is None:
        return ""
    write = write or _number
    return f" ({write(low)} to {write(high)})"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _percent(share: Any) -> str:
    return "–" if share is None else f"{100 * share:.3g}%"


def _shortened(value: Any) -> str:
    """Shorten a number that arrived as text with all its digits."""
    return f"{float(value):.4g}" if isinstance(value, str) and _LONG_NUMBER.fullmatch(value) else _number(value)


def time_of(ns: int) -> str:
    """Format a time to the second, UTC."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def length_of(ns: int) -> str:
    """Format a duration (ns)."""
    minutes = ns // 60_000_000_000
    if minutes < 1:
        return f"{ns // 10**9} s"
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return " ".join(f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (rest, "min")) if n)
