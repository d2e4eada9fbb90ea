"""`mlmon reference`: make, show, export and import references."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click
import pyarrow as pa
import yaml
from rich.console import Console
from rich.table import Table

from otel_mlmon.cli.options import FILE, OUTPUT, column_options, model_option, taken_as
from otel_mlmon.cli.processor import call, processor_option
from otel_mlmon.errors import BadReference
from otel_mlmon.lab.simulate.history import history
from otel_mlmon.reference.api import PATH
from otel_mlmon.reference.artefact import from_document, read_artefact, to_document, write_artefact
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.values import Reference


@click.group()
def reference() -> None:
    """Create, list and show references: types, ranges, categories, distributions, performance."""


@dataclass(frozen=True)
class ReferenceKey:
    """A reference's model, name and model version."""

    model: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"reference {self.name!r} of model {self.model!r}"


_key_options = taken_as(
    "key",
    ReferenceKey,
    model_option,
    click.option("--name", default="training", show_default=True, help="Name of the reference; rules refer to it."),
    click.option("--version", default="", help="Model version that it holds for  [default: every version]"),
)


def _scores(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (class, column) of each `CLASS=COLUMN`; a class may have a = in its name, a column may not."""
    scores: dict[str, str] = {}
    for text in given:
        name, _, column = text.rpartition("=")
        if not name or not column:
            raise BadReference(f"--score-column: found {text!r}, allowed is CLASS=COLUMN")
        if name in scores:
            raise BadReference(f"--score-column: class {name!r} is there twice")
        scores[name] = column
    return tuple(scores.items())


@reference.command()
@click.argument("file", type=FILE)
@_key_options
@column_options(
    click.option(
        "--score-column",
        "scores",
        multiple=True,
        metavar="CLASS=COLUMN",
        callback=_scores,
        help="Column with the model's score of a class; may be repeated. One of two classes is enough.",
    ),
    click.option(
        "--feature", "features", multiple=True, help="A feature column; may be repeated  [default: all others]"
    ),
)
@click.option(
    "--estimators/--no-estimators",
    default=True,
    show_default=True,
    help="Also fit the estimators of `estimate` rules; takes seconds, needs predictions and ground truth.",
)
@click.option(
    "--timestamp-column", default="", help="Time of each row; rows that resemble their neighbours then count for fewer."
)
@click.option(
    "--importances",
    type=FILE,
    help="YAML or JSON file, feature: number: how much the model uses each, for `drift: weighted`.",
)
@click.option("--output", type=OUTPUT, help="Write the artefact to this file, and nothing else.")
@processor_option
def create(
    file: Path,
    key: ReferenceKey,
    columns: Columns,
    estimators: bool,
    timestamp_column: str,
    importances: Path | None,
    output: Path | None,
    processor: str,
) -> None:
    """Make a reference from FILE (CSV or Parquet): training or, better, validation data.

    \b
    mlmon reference create valid.csv --model prices --prediction-column predicted --ground-truth-column price
    mlmon reference create valid.csv --model prices --output prices.training.yaml   # ship it with the model
    """
    with Console(stderr=True).status(f"reading {file}"):
        table = read_table(file)
        if timestamp_column:
            rows = history(file, table, columns, timestamp=timestamp_column, model=key.model, version=key.version)
        else:
            rows = rows_of(file, table, columns, key.model, key.version)
        made = create_reference(
            rows,
            name=key.name,
            version=key.version,
            segments=columns.segments,
            source=file.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if estimators and columns.prediction and columns.ground_truth:
            made, lacking = with_estimators(made, rows)
            if lacking:
                click.echo(f"note: not all of performance can be estimated: {lacking}", err=True)
    if not timestamp_column:
        for column in (name for name in table.column_names if name in made.fields and _is_time(table[name])):
            click.echo(
                f"note: {column!r} looks like a time and is taken as a feature; if it is none, name it with "
                "--timestamp-column (rows that resemble their neighbours then count for fewer) or --exclude",
                err=True,
            )
    if importances is not None:
        made = replace(made, importances=_importances(importances, made))
    if output is not None:
        write_artefact(made, output)
        click.echo(f"{output}: {_summary(made)}")
    else:
        _put(processor, made)


@reference.command("list")
@processor_option
def list_(processor: str) -> None:
    """List the references that the processor knows."""
    table = Table("model", "name", "version", "fields", "rows", "created", "source")
    for item in call("GET", processor, PATH):
        table.add_row(*(str(item[key]) for key in ("model", "name", "version", "fields", "rows", "created", "source")))
    Console().print(table)


@reference.command()
@_key_options
@processor_option
def show(key: ReferenceKey, processor: str) -> None:
    """Show a reference, field by field."""
    found = fetch(processor, key)
    table = Table("field", "type", "missing", "range or categories", "values that stand out")
    for field in found.fields.values():
        profile = field.profile
        gone = (profile.absent + profile.null + profile.nan) / max(profile.rows, 1)
        expected = ", ".join(field.categories[:6]) + (" …" if len(field.categories) > 6 else "")
        if field.kind == "numeric":
            expected = f"{profile.minimum:g} to {profile.maximum:g}"
        constants = ", ".join(f"{value} {share:.1%}" for value, share in list(field.constants.items())[:4])
        table.add_row(field.name, field.type, f"{gone:.1%}", expected, constants)
    Console().print(table)
    click.echo(_summary(found))


@reference.command()
@_key_options
@processor_option
def delete(key: ReferenceKey, processor: str) -> None:
    """Delete a reference."""
    call("DELETE", processor, PATH, params=asdict(key))
    click.echo(f"deleted {key}")


@reference.command()
@click.argument("file", type=OUTPUT)
@_key_options
@processor_option
def export(file: Path, key: ReferenceKey, processor: str) -> None:
    """Write a reference to FILE, to be kept in git and shipped with the model."""
    write_artefact(fetch(processor, key), file)
    click.echo(f"wrote {file}")


@reference.command("import")
@click.argument("file", type=FILE)
@processor_option
def import_(file: Path, processor: str) -> None:
    """Give the processor the reference in FILE."""
    _put(processor, read_artefact(file))


def fetch(processor: str, key: ReferenceKey) -> Reference:
    """Read a reference of the processor."""
    return from_document(call("GET", processor, PATH, params=asdict(key)), str(key))


def _put(processor: str, found: Reference) -> None:
    """Give the processor a reference. Raises BadReference for infinite bin edges: JSON has no infinity."""
    for field in found.fields.values():
        if any(math.isinf(edge) for edge in field.edges):
            raise BadReference(f"field {field.name!r} has infinite bin edges")
    changed = call("PUT", processor, PATH, json=to_document(found))["changed"]
    key = ReferenceKey(found.model, found.name, found.version)
    click.echo(f"{key}: {_summary(found)}{'' if changed else ' (was known already)'}")


def _is_time(column: pa.ChunkedArray) -> bool:
    """Return whether the values are times or days, by type or by the text of the first one."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return True
    first = column[0].as_py() if len(column) and pa.types.is_string(column.type) else None
    return bool(first and re.match(r"\d{4}-\d\d-\d\d", first, re.ASCII))


def _importances(path: Path, made: Reference) -> dict[str, float]:
    """Read the importance of each feature from a file."""
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadReference(f"{path}: cannot be read: {error}") from error
    if not isinstance(found, dict) or not found:
        raise BadReference(f"{path}: found {type(found).__name__}, allowed is a mapping of features to numbers")
    for name, size in found.items():
        if name not in made.fields:
            raise BadReference(f"{path}: no feature {name!r}; there are {', '.join(map(repr, made.fields))}")
        if isinstance(size, bool) or not isinstance(size, (int, float)) or not 0 <= size < float("inf"):
            raise BadReference(f"{path}: {name}: found {size!r}, allowed is a number from 0")
    return {name: float(size) for name, size in found.items()}


def _summary(found: Reference) -> str:
    truth = f", {found.performance.with_truth} with ground truth" if found.performance else ""
    segments = f", {len(found.segments)} segments" if found.segments else ""
    metrics = ", ".join(found.estimators.metrics) if found.estimators else ""
    estimated = f", {metrics} can be estimated" if metrics else ""
    return f"{len(found.fields)} fields from {found.rows} rows{truth}{segments}{estimated}"
