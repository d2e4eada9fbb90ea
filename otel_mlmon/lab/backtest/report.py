"""Report a backtest: tables on the terminal, or one HTML file with pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Console
from rich.table import Table

from otel_mlmon.lab.backtest import picture
from otel_mlmon.lab.backtest.matrix import NOT_INJECTED, SEVERITIES, Cell
from otel_mlmon.lab.backtest.past import Past, never
from otel_mlmon.lab.simulate.faults import FAULTS
from otel_mlmon.rulefile import Group

Counts = dict[str, dict[str, list[Cell]]]  # kind → severity → cells


def by_kind(cells: Sequence[Cell]) -> Counts:
    """Group the cells by kind of fault and severity, without the injections that failed."""
    counts: Counts = {}
    for kind in FAULTS:
        for severity in SEVERITIES:
            group = [c for c in cells if (c.injection.fault.kind, c.injection.severity) == (kind, severity)]
            group = [c for c in group if c.rule != NOT_INJECTED]
            if group:
                counts.setdefault(kind, {})[severity] = group
    return counts


def caught(cells: Sequence[Cell]) -> int:
    """Count the faults that were found."""
    return sum(cell.windows is not None for cell in cells)


def soon(cells: Sequence[Cell]) -> float | None:
    """Return the median number of windows until a fault was found, or None if none was."""
    waited = [cell.windows for cell in cells if cell.windows is not None]
    return median(waited) if waited else None


def show(console: Console, groups: Sequence[Group], past: Past, cells: Sequence[Cell]) -> None:
    """Print the tables."""
    days = past.months * 30.44
    table = Table("group", "rule", "alerts", "a month", "verdicts", title=f"\nThe history as it was: {days:.1f} days")
    for group in groups:
        for rule in group.rules:
            key = (group.name, rule.alert)
            fired = sum((e.alert.group, e.alert.rule) == key for e in past.episodes)
            verdicts = ", ".join(f"{n} {why}" for why, n in past.verdicts.get(key, Counter[str]()).most_common(4))
            table.add_row(*key, str(fired), f"{past.per_month(*key):.1f}", verdicts)
    console.print(table)
    for group, rule, why in never(groups, past):
        console.print(f"[yellow]could never fire:[/yellow] {group.name} / {rule.alert}: {why}")
    if not cells:
        return
    counts = by_kind(cells)
    severities = [s for s in SEVERITIES if any(s in by for by in counts.values())]
    table = Table("fault", *severities, "found by", title="\nFaults injected: found, and after how many windows")
    for kind, by in counts.items():
        rules = sorted({cell.rule for group in by.values() for cell in group if cell.rule})
        table.add_row(
            f"{FAULTS[kind].indicator}: {kind}", *(_cell(by.get(s, [])) for s in severities), ", ".join(rules)
        )
    console.print(table)
    for severity in severities:
        every = [cell for by in counts.values() for cell in by.get(severity, [])]
        console.print(f"{severity}: {caught(every)} of {len(every)} found ({caught(every) / len(every):.0%})")
    console.print("light, moderate, severe: 1, 5, 25 % of the rows, or 0.25, 0.5, 1 standard deviation")


def _cell(cells: Sequence[Cell]) -> str:
    if not cells:
        return "–"
    colour = "green" if caught(cells) == len(cells) else "red" if not caught(cells) else "yellow"
    after = soon(cells)
    return f"[{colour}]{caught(cells)}/{len(cells)}[/{colour}]" + ("" if after is None else f"  {after:.2g}")


def html(groups: Sequence[Group], past: Past, cells: Sequence[Cell], about: str) -> str:
    """Render the report as one HTML file."""
    environment = Environment(
        loader=PackageLoader("otel_mlmon.lab.backtest"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    counts = by_kind(cells)
    missed: list[dict[str, Any]] = [
        {
            "severity": severity,
            "kind": kind,
            "fields": ", ".join(c.injection.fault.field or "all" for c in group if c.windows is None),
        }
        for kind, by in counts.items()
        for severity, group in by.items()
        if caught(group) < len(group)
    ]
    return environment.get_template("report.html").render(
        about=about,
        start=_day(past.start),
        end=_day(past.end),
        timeline=picture.timeline(past, groups),
        episodes=[(_day(e.start), _day(e.end), e.alert) for e in past.episodes[:200]],
        fired=len(past.episodes),
        per_month=len(past.episodes) / past.months,
        never=never(groups, past),
        heat=picture.heat(counts) if counts else "",
        missed=missed,
        kinds=FAULTS,
    )


def _day(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M")
