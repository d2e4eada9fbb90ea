"""An explanation on a terminal: the six answers, each with its figures."""

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
from otel_mlmon.values.evidence import EstimatedWindow
from otel_mlmon.values.explanation import (
    Changes,
    Examples,
    Explanation,
    Features,
    Fired,
    History,
    Outcomes,
    Part,
    Revision,
    Where,
)

Said = Callable[[Any], str]
_BAR: Final = 12
_LONG_NUMBER: Final = re.compile(r"-?\d{1,12}\.\d{4,}")
_EXAMPLE: Final = ("prediction_id", "time", "value", "prediction", "shadow", "ground_truth", "trace_id")
_WHAT_IF: Final = {"present": "as it is", "silent": "the least at which it would have stayed silent"}
_TIMES: Final = (("since", "since"), ("fired", "fired_at"), ("resolved", "resolved_at"))


def show(found: Explanation, console: Console, page: str = "") -> None:
    """Print all of it, in the order in which it is asked. What could not be found out is said at the end."""
    said = figure_of(found)
    names = (("model", "model"), ("version", "version"), ("field", "feature"), ("segment", "segment"))
    about = " · ".join(f"{name} {getattr(found, key)}" for key, name in names if getattr(found, key))
    console.print(
        f"[bold]{escape(found.group)} / {escape(found.rule)}[/bold]  {escape(about)}  [dim]{escape(found.alert)}[/dim]"
    )
    what = measured(found.check, found.method)
    parts: tuple[tuple[str, str, Callable[[Any], None]], ...] = (
        ("fired", "1  What fired, since when, how sure", lambda part: _fired(console, part, what, said)),
        ("where", "2  Which part of it", lambda part: _where(console, part)),
        ("features", "3  Which features moved: distance × importance", lambda part: _features(console, part)),
        ("changes", "4  What changed just before", lambda part: _changes(console, part)),
        ("examples", "5  Predictions to look at", lambda part: _examples(console, part)),
        ("history", "6  The rule's history, and other thresholds", lambda part: _history(console, part, said)),
    )
    for key, title, print_part in parts:
        console.print(f"\n[bold cyan]{title}[/bold cyan]")
        if getattr(found, key):
            print_part(getattr(found, key))
        else:
            console.print("not found out", style="yellow")
        if key == "where" and found.outcomes:
            _outcomes(console, found.outcomes)
    if found.missing:
        console.print(f"\n[yellow]not found out: {escape('; '.join(found.missing))}[/yellow]")
    if page:
        console.print(f"\n[dim]pictures of it: {escape(page)}[/dim]", soft_wrap=True)


def _fired(console: Console, fired: Fired, what: str, said: Said) -> None:
    message = fired.message
    for note in fired.notes:
        message = message.replace(f"; {note.text}", "")
    console.print(escape(message))
    rows = f"{fired.rows} rows" + (f", reference {fired.reference_rows}" if fired.reference_rows else "")
    sure = [
        f"{name} {getattr(fired, key):.2g}"
        for name, key in (("p", "p_value"), ("q", "q_value"))
        if getattr(fired, key) is not None
    ]
    console.print(
        f"{fired.phase}; {what}: {said(fired.value)}{_between(fired, said)}, limit {said(fired.threshold)}; "
        f"{', '.join(sure) or 'not tested'}; {rows}"
    )
    since = [f"{name} {time_of(getattr(fired, key))}" for name, key in _TIMES if getattr(fired, key)]
    console.print(f"{', '.join(since)}; window {time_of(fired.start)} to {time_of(fired.end)} (UTC)")
    if fired.coverage is not None:
        console.print(
            f"ground truth of {fired.coverage:.0%} of the predictions is known; {fired.maturity or 'provisional'}"
        )
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
        sure = "" if part.p_value is None else f"{part.p_value:.2g}"
        lines.add_row(
            escape(part.name), str(part.rows), _number(part.value), _between(part).strip(" ()"), _number(part.expected),
            sure,
        )  # fmt: skip
    console.print(lines)


def _outcomes(console: Console, outcomes: Outcomes) -> None:
    cells = outcomes.confusion
    if cells:
        lines = table(
            "truth",
            "predicted",
            "rows",
            "share of the truth",
            "usually",
            "worth each",
            title="\npredictions against the truth",
        )
        for one in cells:
            style = "" if one.truth == one.prediction else "red" if one.rows else "dim"
            shares = (_percent(getattr(one, key)) for key in ("share", "usual"))
            lines.add_row(
                escape(one.truth),
                escape(one.prediction),
                str(one.rows),
                *shares,
                _number(one.worth),
                style=style,
            )
        console.print(lines)
    if outcomes.arrived:
        most = outcomes.arrived[-1].share
        half, nearly = (next(one.delay for one in outcomes.arrived if one.share >= part * most) for part in (0.5, 0.9))
        times = f"half of it within {length_of(half)}, nine tenths within {length_of(nearly)}"
        console.print(f"the ground truth of {most:.0%} of the predictions has come: {times}")
    scored = [(window, window.realised) for window in outcomes.ledger if window.realised is not None]
    if scored:
        lines = table("window until", "estimated", "band", "came true", "", title="\nestimates, and what came true")
        for window, realised in scored[-10:]:
            inside = window.low <= realised <= window.high
            lines.add_row(
                time_of(window.end), _number(window.estimate), _between(window).strip(" ()"), _number(realised),
                "" if inside else "[red]beyond[/red]",
            )  # fmt: skip
        console.print(lines)


def _features(console: Console, features: Features) -> None:
    moved = [one for one in features.ranking if one.score > 0]
    most = max((one.score for one in moved), default=0.0)
    lines = table("feature", "", "score", "distance", "importance", "what changed")
    for one in moved:
        bar = "█" * max(1, round(_BAR * one.score / most))
        figures = (_number(getattr(one, key)) for key in ("score", "distance", "importance"))
        lines.add_row(escape(one.feature), f"[cyan]{bar}[/cyan]", *figures, escape(one.change))
    console.print(lines if moved else "no feature that the model uses has moved")
    console.print(f"[dim]{escape(features.note)}[/dim]")


def _changes(console: Console, changes: Changes) -> None:
    if not changes.events:
        console.print(f"nothing was seen to change between {time_of(changes.start)} and {time_of(changes.end)}")
        return
    lines = table("when", "before the first breach", "what", "")
    for one in changes.events:
        text = one.text if one.kind == "feature_set" else f"{one.value}  {one.text}"
        lines.add_row(time_of(one.time), length_of(one.before), one.kind.replace("_", " "), escape(text))
    console.print(lines)


def _examples(console: Console, examples: Examples) -> None:
    rows = examples.rows
    if not rows:
        console.print("no prediction of the window is stored")
    keys = [key for key in _EXAMPLE if any(row.get(key) not in (None, "") for row in rows)]
    # A table for each slice: its name is long, and the ids are to be copied.
    for name, part in groupby(rows, key=lambda row: row.get("slice") or ""):
        lines = table(*(key.replace("_", " ") for key in keys), title=escape(name) or None)
        for column, key in zip(lines.columns, keys, strict=True):
            column.no_wrap = key == "trace_id"
        for row in part:
            lines.add_row(*(time_of(row[key]) if key == "time" else escape(_outcome(row.get(key))) for key in keys))
        console.print(lines)


def _history(console: Console, history: History, said: Said) -> None:
    ticks = history.ticks
    breaches = sum(tick.status == "breach" for tick in ticks)
    if ticks:
        console.print(f"{len(ticks)} verdicts since {time_of(ticks[0].end)}, {breaches} of them breaches")
    lines = table("threshold", "", "would have fired", "for", "would be firing")
    for one in history.what_if:
        now = f"since {time_of(one.since)}" if one.since else "no"
        times = f"{one.episodes} {'time' if one.episodes == 1 else 'times'}"
        style = "bold" if one.kind == "present" else ""
        lines.add_row(said(one.threshold), _WHAT_IF.get(one.kind, ""), times, length_of(one.firing), now, style=style)
    if history.what_if:
        console.print(lines)
    console.print(f"[dim]{escape(history.note)}[/dim]")
    if history.revisions:
        known = table("known at", "ground truth", "value", "interval", "", title="\nwhat was known when")
        for revision in history.revisions[-10:]:
            share = "" if revision.coverage is None else f"{revision.with_truth} ({revision.coverage:.0%})"
            known.add_row(
                time_of(revision.known),
                share,
                said(revision.value),
                _between(revision, said).strip(" ()"),
                revision.maturity,
            )
        console.print(known)


def figure_of(found: Explanation) -> Said:
    """How the alert's own figure is written: a share as a percentage."""
    return _percent if is_share(found.check, found.method) else _number


def _between(found: Fired | Part | EstimatedWindow | Revision, said: Said | None = None) -> str:
    if found.low is None or found.high is None:
        return ""
    said = said or _number
    return f" ({said(found.low)} to {said(found.high)})"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _percent(share: Any) -> str:
    return "–" if share is None else f"{100 * share:.3g}%"


def _outcome(value: Any) -> str:
    """A number may have come as text, with all its digits."""
    return f"{float(value):.4g}" if isinstance(value, str) and _LONG_NUMBER.fullmatch(value) else _number(value)


def time_of(ns: int) -> str:
    """A time in UTC, to the second."""
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def length_of(ns: int) -> str:
    """A length of time."""
    minutes = ns // 60_000_000_000
    if minutes < 1:
        return f"{ns // 10**9} s"
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return " ".join(f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (rest, "min")) if n)
