"""`mlmon rules backtest`: rules over a history, with and without faults."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from otel_mlmon.cli.options import (
    FILE,
    OUTPUT,
    column_options,
    delay_option,
    model_option,
    parsed,
    taken_as,
    timestamp_option,
)
from otel_mlmon.cli.rules import or_exit
from otel_mlmon.cli.terminal import progress_bar
from otel_mlmon.errors import ConfigError, MlmonError
from otel_mlmon.lab.backtest import SEVERITIES, injections, play, run_injections
from otel_mlmon.lab.backtest.report import html, show
from otel_mlmon.lab.simulate.faults import FAULTS
from otel_mlmon.lab.simulate.history import history
from otel_mlmon.lab.simulate.memory import cut
from otel_mlmon.reference.artefact import read_artefact
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import need_estimators, with_estimators
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.rulefile import Group, load
from otel_mlmon.rulefile.messages import unknown
from otel_mlmon.rulefile.quantities import parse_number
from otel_mlmon.values import Reference, RowBlock


@dataclass(frozen=True)
class _Log:
    """Options about the history and its reference."""

    file: Path
    model: str
    timestamp_column: str
    ground_truth_delay: int
    version_column: str
    reference: Path | None
    reference_share: float


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE)
@taken_as(
    "log",
    _Log,
    click.option("--history", "file", required=True, type=FILE, help="Logged predictions: CSV or Parquet."),
    model_option,
    timestamp_option,
    delay_option,
    click.option("--version-column", default="", help="The model's version  [default: one version]"),
    click.option("--reference", type=FILE, help="The reference: an artefact, CSV or Parquet."),
    click.option(
        "--reference-share",
        default="30%",
        show_default=True,
        callback=parsed(parse_number),
        help="Without --reference: the first part of the history.",
    ),
)
@column_options()
@click.option("--inject", default="", help="Kinds of faults, separated by commas, or all.")
@click.option(
    "--severity", "severities", multiple=True, help="light, moderate, severe; may be repeated  [default: all]"
)
@click.option("--fields", default=3, show_default=True, help="Number of fields that each kind of fault is tried on.")
@click.option("--windows", default=2, show_default=True, help="Number of windows within which a fault must be found.")
@click.option("--jobs", default=0, help="Processes  [default: one for each processor core]")
@click.option("--output", type=OUTPUT, help="Write a report with pictures to this HTML file.")
def backtest(
    paths: tuple[Path, ...],
    log: _Log,
    columns: Columns,
    inject: str,
    severities: tuple[str, ...],
    fields: int,
    windows: int,
    jobs: int,
    output: Path | None,
) -> None:
    """Run the rules in PATHS over a history of logged predictions.

    With --inject, faults are put into the middle of the history, one at a time; the report says which of them the rules
    find, and how soon. It names the rules that could never have fired.

    \b
    mlmon rules backtest rules/drift.yaml --history log.parquet --model prices --timestamp-column at \\
        --prediction-column predicted --inject all --output backtest.html
    """
    files = or_exit(lambda: load(paths))
    groups = [group for file in files for group in file.groups if group.covers(log.model)]
    if not groups:
        names = ", ".join(sorted({group.model for file in files for group in file.groups}))
        raise ConfigError(f"no group covers the model {log.model!r}; there are {names}")
    kinds = _kinds(inject, severities)
    with Console(stderr=True).status(f"reading {log.file}"):
        rows, references = _read(log, columns, groups)
    start, end = int(rows.times[0]), int(rows.times[-1]) + max(group.interval for group in groups)
    planned = []
    with progress_bar() as progress:
        task = progress.add_task("the history as it was", total=None)
        past = play(
            groups, rows, references, start, end, lambda done, total: progress.update(task, completed=done, total=total)
        )
        if kinds:
            middle = _middle(start, end, max(group.window for group in groups))
            planned = injections(kinds, severities or list(SEVERITIES), rows, fields, middle)
            task = progress.add_task("faults", total=len(planned))
        cells = run_injections(
            planned, groups, rows, references, windows, jobs or os.cpu_count() or 1, lambda cell: progress.advance(task)
        )
    show(Console(width=None if sys.stdout.isatty() else 120), groups, past, cells)
    if output is not None:
        title = f"{', '.join(map(str, paths))} over {log.file.name}, model {log.model}"
        output.write_text(html(groups, past, cells, title), "utf-8")
        click.echo(f"wrote {output}")


def _kinds(inject: str, severities: tuple[str, ...]) -> list[str]:
    """Return the kinds of faults. Raises ConfigError for unknown kinds and severities."""
    kinds = list(FAULTS) if inject == "all" else [part.strip() for part in inject.split(",") if part.strip()]
    for given, allowed, kind in ((kinds, FAULTS, "fault"), (severities, SEVERITIES, "severity")):
        for name in given:
            if name not in allowed:
                raise ConfigError(unknown(kind, name, list(allowed)))
    return kinds


def _read(log: _Log, columns: Columns, groups: list[Group]) -> tuple[RowBlock, list[Reference]]:
    """Return the rows to judge and their references: from a file, else from the first part of the history."""
    rows = history(
        log.file,
        read_table(log.file),
        columns,
        timestamp=log.timestamp_column,
        model=log.model,
        version_column=log.version_column,
        delay_ns=log.ground_truth_delay,
    )
    given, share = log.reference, log.reference_share
    if given is not None and given.suffix in (".yaml", ".yml"):
        return rows, [read_artefact(given)]
    if given is not None:
        normal, source = rows_of(given, read_table(given), columns, rows.model, ""), given.name
    else:
        n = round(share * len(rows))
        if not 0 < n < len(rows):
            raise ConfigError(f"--reference-share: found {share:.0%}, allowed is between 0% and 100%")
        normal, rows, source = cut(rows, 0, n), cut(rows, n, len(rows)), "the begin of the history"
    made = [
        create_reference(normal, name=name, version="", segments=columns.segments, source=source, created="")
        for name in sorted({group.reference.name for group in groups})
    ]
    estimated = need_estimators(rule for group in groups for rule in group.rules)
    return rows, [with_estimators(one, normal)[0] for one in made] if estimated else made


def _middle(start: int, end: int, window: int) -> int:
    """Return the start of faults: the start of a middle window, with at least one window before and after."""
    middle = (start + end) // 2 // window * window
    if middle - window < start or middle + window > end:
        raise MlmonError(
            "the history is too short: faults need three windows; take smaller windows or a longer history"
        )
    return middle
