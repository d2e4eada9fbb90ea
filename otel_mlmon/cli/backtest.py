"""`mlmon rules backtest`: rules over a history, with and without faults."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from otel_mlmon.cli.mistakes import or_exit
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
from otel_mlmon.rulefile import load, parse_duration
from otel_mlmon.rulefile.messages import unknown
from otel_mlmon.rulefile.quantities import parse_number
from otel_mlmon.values import Reference, RowBlock


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--history", "file", required=True, type=click.Path(path_type=Path), help="Logged predictions: CSV or Parquet."
)
@click.option("--model", required=True, help="The model's name.")
@click.option(
    "--timestamp-column", required=True, help="Column with the time of each prediction: ISO 8601 or Unix seconds."
)
@click.option("--prediction-column", default="", help="Column with the model's predictions.")
@click.option("--ground-truth-column", default="", help="Column with the ground truth.")
@click.option("--ground-truth-delay", default="0s", show_default=True, help="How long after the prediction, e.g. 7d.")
@click.option("--version-column", default="", help="The model's version  [default: one version]")
@click.option("--exclude", multiple=True, help="A column that is no feature; may be repeated.")
@click.option("--segment", "segments", multiple=True, help="A feature that is a segment key; may be repeated.")
@click.option("--reference", type=click.Path(path_type=Path), help="The reference: an artefact, CSV or Parquet.")
@click.option(
    "--reference-share", default="30%", show_default=True, help="Without --reference: the first part of the history."
)
@click.option("--inject", default="", help="Kinds of faults, separated by commas, or all.")
@click.option(
    "--severity", "severities", multiple=True, help="light, moderate, severe; may be repeated  [default: all]"
)
@click.option("--fields", default=3, show_default=True, help="Number of fields that each kind of fault is tried on.")
@click.option("--windows", default=2, show_default=True, help="Number of windows within which a fault must be found.")
@click.option("--jobs", default=0, help="Processes  [default: one for each processor core]")
@click.option("--output", type=click.Path(path_type=Path), help="Write a report with pictures to this HTML file.")
def backtest(
    paths: tuple[Path, ...],
    file: Path,
    model: str,
    timestamp_column: str,
    prediction_column: str,
    ground_truth_column: str,
    ground_truth_delay: str,
    version_column: str,
    exclude: tuple[str, ...],
    segments: tuple[str, ...],
    reference: Path | None,
    reference_share: str,
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
    groups = [group for one in files for group in one.groups if group.covers(model)]
    if not groups:
        names = ", ".join(sorted({group.model for one in files for group in one.groups}))
        raise ConfigError(f"no group covers the model {model!r}; there are {names}")
    kinds = list(FAULTS) if inject == "all" else _listed(inject)
    for given, allowed, kind in ((kinds, FAULTS, "fault"), (severities, SEVERITIES, "severity")):
        for name in given:
            if name not in allowed:
                raise ConfigError(unknown(kind, name, list(allowed)))
    try:
        delay, share = parse_duration(ground_truth_delay), parse_number(reference_share)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    columns = Columns(prediction_column, ground_truth_column, (), exclude, segments)
    console = Console(stderr=True)
    with console.status(f"reading {file}"):
        rows = history(
            file,
            read_table(file),
            columns,
            timestamp=timestamp_column,
            model=model,
            version_column=version_column,
            delay_ns=delay,
        )
        normals = sorted({group.reference.name for group in groups})
        estimated = need_estimators(rule for group in groups for rule in group.rules)
        rows, references = _normal(rows, columns, reference, share, normals, estimated)
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    start, end = int(rows.times[0]), int(rows.times[-1]) + max(group.interval for group in groups)
    with Progress(*bar, console=console) as progress:
        task = progress.add_task("the history as it was", total=None)
        past = play(
            groups, rows, references, start, end, lambda done, total: progress.update(task, completed=done, total=total)
        )
        cells = []
        if kinds:
            middle = _middle(start, end, max(group.window for group in groups))
            wanted = injections(kinds, severities or list(SEVERITIES), rows, fields, middle)
            task = progress.add_task("faults", total=len(wanted))
            cells = run_injections(
                wanted,
                groups,
                rows,
                references,
                windows,
                jobs or os.cpu_count() or 1,
                lambda cell: progress.advance(task),
            )
    show(Console(width=None if sys.stdout.isatty() else 120), groups, past, cells)
    if output is not None:
        output.write_text(
            html(groups, past, cells, f"{', '.join(map(str, paths))} over {file.name}, model {model}"), "utf-8"
        )
        click.echo(f"wrote {output}")


def _normal(
    rows: RowBlock, columns: Columns, given: Path | None, share: float, names: list[str], estimated: bool
) -> tuple[RowBlock, list[Reference]]:
    """Return the rows to judge and their references: from a file, else from the first part of the history."""
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
        for name in names
    ]
    return rows, [with_estimators(one, normal)[0] for one in made] if estimated else made


def _middle(start: int, end: int, window: int) -> int:
    """Return the start of faults: the start of a middle window, with at least one window before and after."""
    middle = (start + end) // 2 // window * window
    if middle - window < start or middle + window > end:
        raise MlmonError(
            "the history is too short: faults need three windows; take smaller windows or a longer history"
        )
    return middle


def _listed(text: str) -> Sequence[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
