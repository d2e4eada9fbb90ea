"""`mlmon reference`: make, show, export and import references."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import pyarrow as pa
import yaml
from rich.console import Console
from rich.table import Table

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


@reference.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model's name, as the application sends it.")
@click.option("--name", default="training", show_default=True, help="Name of the reference; rules refer to it.")
@click.option("--version", default="", help="Model version that it holds for  [default: every version]")
@click.option("--prediction-column", default="", help="Column with the model's predictions.")
@click.option("--ground-truth-column", default="", help="Column with the true outcomes.")
@click.option(
    "--score-column",
    "scores",
    multiple=True,
    metavar="CLASS=COLUMN",
    help="Column with the model's score of a class; may be repeated. One of two classes is enough.",
)
@click.option(
    "--estimators/--no-estimators",
    default=True,
    show_default=True,
    help="Also fit the estimators of `estimate` rules; takes seconds, needs predictions and ground truth.",
)
@click.option("--feature", "features", multiple=True, help="A feature column; may be repeated  [default: all others]")
@click.option("--exclude", multiple=True, help="A column to leave out (ids, timestamps); may be repeated.")
@click.option("--segment", "segments", multiple=True, help="Column whose values are segments; may be repeated.")
@click.option(
    "--timestamp-column",
    default="",
    help="Time of each row; rows that resemble their neighbours then count for fewer.",
)
@click.option(
    "--importances",
    type=click.Path(path_type=Path),
    help="YAML or JSON file, feature: number: how much the model uses each, for `drift: weighted`.",
)
@click.option("--output", type=click.Path(path_type=Path), help="Write the artefact to this file, and nothing else.")
@processor_option
def create(
    file: Path,
    model: str,
    name: str,
    version: str,
    prediction_column: str,
    ground_truth_column: str,
    scores: tuple[str, ...],
    estimators: bool,
    features: tuple[str, ...],
    exclude: tuple[str, ...],
    segments: tuple[str, ...],
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
        columns = Columns(prediction_column, ground_truth_column, features, exclude, segments, _scores(scores))
        table = read_table(file)
        if timestamp_column:
            rows = history(file, table, columns, timestamp=timestamp_column, model=model, version=version)
        else:
            rows = rows_of(file, table, columns, model, version)
        made = create_reference(
            rows,
            name=name,
            version=version,
            segments=segments,
            source=file.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if estimators and prediction_column and ground_truth_column:
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
        return
    call("PUT", processor, PATH, json=to_document(_finite(made)))
    click.echo(f"reference {name!r} of model {model!r}: {_summary(made)}")


@reference.command("list")
@processor_option
def list_(processor: str) -> None:
    """List the references that the processor knows."""
    table = Table("model", "name", "version", "fields", "rows", "created", "source")
    for item in call("GET", processor, PATH):
        table.add_row(*(str(item[key]) for key in ("model", "name", "version", "fields", "rows", "created", "source")))
    Console().print(table)


@reference.command()
@click.option("--model", required=True, help="The model's name.")
@click.option("--name", default="training", show_default=True, help="The reference's name.")
@click.option("--version", default="", help="The model's version  [default: the reference for every version]")
@processor_option
def show(model: str, name: str, version: str, processor: str) -> None:
    """Show a reference, field by field."""
    found = _fetch(processor, model, name, version)
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
@click.option("--model", required=True, help="The model's name.")
@click.option("--name", default="training", show_default=True, help="The reference's name.")
@click.option("--version", default="", help="The model's version  [default: the reference for every version]")
@processor_option
def delete(model: str, name: str, version: str, processor: str) -> None:
    """Delete a reference."""
    call("DELETE", processor, PATH, params={"model": model, "name": name, "version": version})
    click.echo(f"deleted reference {name!r} of model {model!r}")


@reference.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model's name.")
@click.option("--name", default="training", show_default=True, help="The reference's name.")
@click.option("--version", default="", help="The model's version  [default: the reference for every version]")
@processor_option
def export(file: Path, model: str, name: str, version: str, processor: str) -> None:
    """Write a reference to FILE, to be kept in git and shipped with the model."""
    write_artefact(_fetch(processor, model, name, version), file)
    click.echo(f"wrote {file}")


@reference.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@processor_option
def import_(file: Path, processor: str) -> None:
    """Give the processor the reference in FILE."""
    found = read_artefact(file)
    answer = call("PUT", processor, PATH, json=to_document(_finite(found)))
    changed = "" if answer["changed"] else " (was known already)"
    click.echo(f"reference {found.name!r} of model {found.model!r}: {_summary(found)}{changed}")


def _fetch(processor: str, model: str, name: str, version: str) -> Reference:
    document = call("GET", processor, PATH, params={"model": model, "name": name, "version": version})
    return from_document(document, f"reference {name!r} of model {model!r}")


def _is_time(column: pa.ChunkedArray) -> bool:
    """Return whether the values are times or days, by type or by the text of the first one."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return True
    first = column[0].as_py() if len(column) and pa.types.is_string(column.type) else None
    return bool(first and re.match(r"\d{4}-\d\d-\d\d", first, re.ASCII))


def _scores(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return (class, column) of each `CLASS=COLUMN`; a class may have a = in its name, a column may not."""
    pairs = [tuple(text.rsplit("=", 1)) for text in given]
    for text, pair in zip(given, pairs, strict=True):
        if len(pair) != 2 or not all(pair):
            raise BadReference(f"--score-column: found {text!r}, allowed is CLASS=COLUMN")
    classes = [pair[0] for pair in pairs]
    for name in classes:
        if classes.count(name) > 1:
            raise BadReference(f"--score-column: class {name!r} is there twice")
    return tuple((name, column) for name, column in pairs)


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


def _finite(found: Reference) -> Reference:
    """Refuse infinite bin edges: JSON has no infinity."""
    for field in found.fields.values():
        if any(edge in (float("inf"), float("-inf")) for edge in field.edges):
            raise BadReference(f"field {field.name!r} has infinite bin edges")
    return found


def _summary(found: Reference) -> str:
    truth = f", {found.performance.with_truth} with ground truth" if found.performance else ""
    segments = f", {len(found.segments)} segments" if found.segments else ""
    estimated = f", {', '.join(found.estimators.metrics)} can be estimated" if found.estimators else ""
    return f"{len(found.fields)} fields from {found.rows} rows{truth}{segments}{estimated}"
