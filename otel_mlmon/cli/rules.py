"""`mlmon rules`: write, check, test and backtest rule files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from otel_mlmon.cli.lazy import Lazy, LazyGroup
from otel_mlmon.errors import RuleFileError
from otel_mlmon.rulefile import load, schema_text

_Read = TypeVar("_Read")


def or_exit(read: Callable[[], _Read]) -> _Read:
    """Return the result of `read`; print all mistakes with file:line:column and exit with 1 when there are any."""
    try:
        return read()
    except RuleFileError as error:
        for finding in error.findings:
            click.echo(str(finding))
        n = len(error.findings)
        click.secho(f"{n} mistake{'s' if n != 1 else ''}", fg="red", err=True)
        sys.exit(1)


@click.group(
    cls=LazyGroup,
    lazy={
        "backtest": Lazy(
            "otel_mlmon.cli.backtest:backtest", "Run rules over logged predictions, with and without faults."
        ),
        "infer": Lazy("otel_mlmon.cli.infer:infer", "Write a first rule file from a reference."),
        "test": Lazy("otel_mlmon.cli.rule_tests:test", "Run unit tests of rules in simulated time."),
    },
)
def rules() -> None:
    """Write, check, test and backtest rule files."""


@rules.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check rule files and directories; print every mistake with file:line:column.

    Exits with 1 when there are any.
    """
    files = or_exit(lambda: load(paths))
    for file in files:
        n = sum(len(group.rules) for group in file.groups)
        click.echo(
            f"{file.path}: {n} rule{'s' if n != 1 else ''} in {len(file.groups)} group{'s' * (len(file.groups) != 1)}"
        )


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rule files, for editors."""
    click.echo(schema_text(), nl=False)
