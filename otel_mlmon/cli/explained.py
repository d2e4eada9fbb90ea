"""An explanation on a terminal: the six answers, each with its figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Found = Mapping[str, Any]
_BAR: Final = 24


def show(found: Found, console: Console, page: str = "") -> None:
    """Print all of it, in the order in which it is asked. What could not be found out is said at the end."""
    names = (("model", "model"), ("version", "version"), ("field", "feature"), ("segment", "segment"))
    about = " · ".join(f"{said} {found[key]}" for key, said in names if found[key])
    console.print(
        f"[bold]{escape(found['group'])} / {escape(found['rule'])}[/bold]  {escape(about)}  [dim]{escape(found['alert'])}[/dim]"
    )
    parts: tuple[tuple[str, str, Callable[[Console, Found], None]], ...] = (
        ("fired", "1  What fired, since when, how sure", _fired),
        ("where", "2  Which part of it", _where),
        ("features", "3  Which features moved: distance × importance", _features),
        ("changes", "4  What changed just before", _changes),
        ("examples", "5  Predictions to look at", _examples),
        ("history", "6  The rule's history, and other thresholds", _history),
    )
    for key, title, print_part in parts:
        console.print(f"\n[bold cyan]{title}[/bold cyan]")
        if found.get(key):
            print_part(console, found[key])
        else:
            console.print("not found out", style="yellow")
    if found["missing"]:
        console.print(f"\n[yellow]not found out: {escape('; '.join(found['missing']))}[/yellow]")
    if page:
        console.print(f"\n[dim]pictures of it: {escape(page)}[/dim]")


def _fired(console: Console, fired: Found) -> None:
    message = fired["message"]
    for note in fired["notes"]:
        message = message.replace(f"; {note['text']}", "")
    console.print(escape(message))
    interval = _between(fired)
    rows = f"{fired['rows']} rows" + (f", reference {fired['reference_rows']}" if fired["reference_rows"] else "")
    sure = [f"{name} {fired[key]:.2g}" for name, key in (("p", "p_value"), ("q", "q_value")) if fired[key] is not None]
    console.print(
        f"{fired['phase']}; value {_number(fired['value'])}{interval}, limit {_number(fired['threshold'])}; "
        f"{', '.join(sure) or 'not tested'}; {rows}"
    )
    since = [f"{name} {_time(fired[key])}" for name, key in _TIMES if fired[key]]
    console.print(f"{', '.join(since)}; window {_time(fired['start'])} to {_time(fired['end'])}")
    if fired["coverage"] is not None:
        console.print(
            f"ground truth of {fired['coverage']:.0%} of the predictions is known; {fired['maturity'] or 'provisional'}"
        )
    for note in fired["notes"]:
        console.print(f"[yellow]{escape(note['kind'])}: {escape(note['text'])}[/yellow]")


_TIMES: Final = (("since", "since"), ("fired", "fired_at"), ("resolved", "resolved_at"))


def _where(console: Console, where: Found) -> None:
    if where["note"]:
        console.print(escape(where["note"]))
    if not where["slices"]:
        return
    table = Table(
        "slice", "rows", "value", "95 % interval", "expected", "p", title=escape(where["measure"]), title_justify="left"
    )
    table.add_row(
        "all of them", str(where["rows"]), _number(where["value"]), "", _number(where["expected"]), "", style="dim"
    )
    for part in where["slices"]:
        sure = "" if part["p_value"] is None else f"{part['p_value']:.2g}"
        table.add_row(
            escape(part["name"]), str(part["rows"]), _number(part["value"]), _between(part).strip(" ()"), _number(part["expected"]),
            sure,
        )  # fmt: skip
    console.print(table)


def _features(console: Console, features: Found) -> None:
    moved = [one for one in features["ranking"] if one["score"] > 0]
    most = max((one["score"] for one in moved), default=0.0)
    table = Table("feature", "", "score", "distance", "importance", "what changed")
    for one in moved:
        bar = "█" * max(1, round(_BAR * one["score"] / most))
        figures = (_number(one[key]) for key in ("score", "distance", "importance"))
        table.add_row(escape(one["feature"]), f"[cyan]{bar}[/cyan]", *figures, escape(one["change"]))
    console.print(table if moved else "no feature that the model uses has moved")
    console.print(f"[dim]{escape(features['note'])}[/dim]")


def _changes(console: Console, changes: Found) -> None:
    if not changes["events"]:
        console.print(f"nothing was seen to change between {_time(changes['start'])} and {_time(changes['end'])}")
        return
    table = Table("when", "before the first breach", "what", "")
    for one in changes["events"]:
        text = one["text"] if one["kind"] == "feature_set" else f"{one['value']}  {one['text']}"
        table.add_row(_time(one["time"]), _length(one["before"]), one["kind"].replace("_", " "), escape(text))
    console.print(table)


def _examples(console: Console, examples: Found) -> None:
    rows: Sequence[Found] = examples["rows"]
    keys = ("slice", "prediction_id", "time", "value", "prediction", "ground_truth", "trace_id")
    shown = [key for key in keys if any(row.get(key) not in (None, "") for row in rows)]
    table = Table(*(key.replace("_", " ") for key in shown))
    for row in rows:
        table.add_row(*(_time(row[key]) if key == "time" else escape(_number(row.get(key))) for key in shown))
    console.print(table if rows else "no prediction of the window is stored")


def _history(console: Console, history: Found) -> None:
    ticks = history["ticks"]
    breaches = sum(tick["status"] == "breach" for tick in ticks)
    if ticks:
        console.print(f"{len(ticks)} verdicts since {_time(ticks[0]['end'])}, {breaches} of them breaches")
    table = Table("threshold", "", "would have fired", "for", "would be firing")
    said = {"present": "as it is", "silent": "the least at which it would have stayed silent"}
    for one in history["what_if"]:
        now = f"since {_time(one['since'])}" if one["since"] else "no"
        times = f"{one['episodes']} {'time' if one['episodes'] == 1 else 'times'}"
        style = "bold" if one["kind"] == "present" else ""
        table.add_row(
            _number(one["threshold"]), said.get(one["kind"], ""), times, _length(one["firing"]), now, style=style
        )
    if history["what_if"]:
        console.print(table)
    console.print(f"[dim]{escape(history['note'])}[/dim]")
    if history["revisions"]:
        known = Table(
            "known at", "ground truth", "value", "interval", "", title="what was known when", title_justify="left"
        )
        for one in history["revisions"][-10:]:
            share = "" if one["coverage"] is None else f"{one['with_truth']} ({one['coverage']:.0%})"
            known.add_row(
                _time(one["known"]), share, _number(one["value"]), _between(one).strip(" ()"), one["maturity"]
            )
        console.print(known)


def _between(found: Found) -> str:
    if found["low"] is None or found["high"] is None:
        return ""
    return f" ({_number(found['low'])} to {_number(found['high'])})"


def _number(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _time(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def _length(ns: int) -> str:
    minutes = ns // 60_000_000_000
    if minutes < 1:
        return f"{ns // 10**9} s"
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return " ".join(f"{n} {unit}" for n, unit in ((days, "d"), (hours, "h"), (rest, "min")) if n)
