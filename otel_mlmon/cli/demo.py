"""`mlmon demo`: see everything at work."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from otel_mlmon.cli.terminal import stop_signal
from otel_mlmon.lab.demo.faults import FAULTS
from otel_mlmon.lab.demo.run import DAYS, Change, Demo, temporary_directory


@click.command()
@click.option("--seed", default=7, show_default=True, help="Seed of the random town.")
@click.option("--wait/--no-wait", default=None, help="Leave the pages open until Ctrl-C  [default: on a terminal]")
def demo(seed: int, wait: bool | None) -> None:
    """Watch a model's silent failures being caught.

    A real-estate price service runs for six weeks, in well under a minute; it is broken in six ways, one after
    the other. Exits with 0 only if all six were caught and nothing fired before the first.
    """
    console = Console() if sys.stdout.isatty() else Console(width=150)
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    with (
        temporary_directory() as directory,
        Progress(
            TextColumn("day {task.completed:.0f} of {task.total:.0f}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
        ) as progress,
    ):
        task = progress.add_task("", total=DAYS)
        announced: set[str] = set()

        def on_change(change: Change) -> None:
            # The service is ahead of the processor: announce a fault just before its consequences.
            _announce(progress.console, change.day, announced)
            _print_change(progress.console, change)

        run = Demo(Path(directory), on_change, lambda day: progress.update(task, completed=day), seed)
        console.print("Six weeks of a real-estate price service: requests as OTLP, sale prices two days later.\n")
        run.run()
        _announce(progress.console, DAYS, announced)
        progress.stop()
        good = _summary(console, run)
        console.print(
            f"\nreport pages: [link]{run.service.web_url}/alerts[/link]   metrics: {run.service.web_url}/metrics"
        )
        if wait if wait is not None else sys.stdout.isatty() and sys.stdin.isatty():
            console.print("Ctrl-C ends the demo.")
            stop_signal().wait()
        run.service.stop()
    sys.exit(0 if good else 1)


def _announce(console: Console, day: float, announced: set[str]) -> None:
    for fault in FAULTS:
        if day >= fault.first_day and fault.indicator not in announced:
            announced.add(fault.indicator)
            console.print(f"[bold]day {fault.first_day:5.2f}  {fault.indicator}[/bold]: {fault.done}")


def _print_change(console: Console, change: Change) -> None:
    alert = change.alert
    where = alert.target.field or alert.target.segment or "all predictions"
    if change.alert.phase == "firing":
        console.print(
            f"[red]day {change.day:5.2f}  firing    {alert.rule} · {where}[/red]  {alert.verdict.result.message}"
        )
    elif change.alert.phase == "suppressed":
        figure = alert.verdict.result.message.partition("; ")[0]
        console.print(f"[dim]day {change.day:5.2f}  explained {alert.rule} · {where}  {figure}[/dim]")
    else:
        console.print(f"[green]day {change.day:5.2f}  resolved  {alert.rule} · {where}[/green]")


def _summary(console: Console, run: Demo) -> bool:
    columns = ("indicator", "fault", "rule", "how long after", "also fired", "explained by it")
    table = Table(*columns, title="\nWhat was caught")
    missed = 0
    for fault in FAULTS:
        caught = run.caught(fault)
        missed += caught is None
        beside, explained = _rules(run.beside(fault)), _rules(run.explained(fault))
        rule = f"{fault.expected} · {fault.where}"
        after = "[red]not caught[/red]" if caught is None else f"{(caught.day - fault.first_day) * 24:.0f} h"
        table.add_row(fault.indicator, fault.done, rule, after, beside, explained)
    console.print(table)
    early = run.false_alarms()
    for change in early:
        console.print(f"[red]fired before the first fault: {change.alert.rule} {change.alert.target}[/red]")
    console.print(f"{len(FAULTS) - missed} of {len(FAULTS)} caught, {len(early)} fired before the first fault")
    return not missed and not early


def _rules(changes: list[Change]) -> str:
    return ", ".join(sorted({f"{c.alert.rule} {c.alert.target.field}".strip() for c in changes}))
