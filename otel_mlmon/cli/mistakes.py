"""Mistakes in rule files, as commands show them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from otel_mlmon.errors import RuleFileError

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
