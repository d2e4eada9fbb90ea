"""`mlmon rules`: check rule files."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from otel_mlmon.errors import RuleFileError
from otel_mlmon.rulefile import load, schema_text


@click.group()
def rules() -> None:
    """Rule files: what must hold."""


@rules.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check rule files and directories: all mistakes at once, each with file:line:column.

    Exits with 1 when there are any.
    """
    try:
        files = load(paths)
    except RuleFileError as error:
        for finding in error.findings:
            click.echo(str(finding))
        n = len(error.findings)
        click.secho(f"{n} mistake{'s' if n != 1 else ''}", fg="red", err=True)
        sys.exit(1)
    for file in files:
        n = sum(len(group.rules) for group in file.groups)
        click.echo(
            f"{file.path}: {n} rule{'s' if n != 1 else ''} in {len(file.groups)} group{'s' * (len(file.groups) != 1)}"
        )


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rule files, for editors."""
    click.echo(schema_text(), nl=False)
