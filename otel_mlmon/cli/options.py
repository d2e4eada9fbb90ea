"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from functools import reduce, wraps
from pathlib import Path
from typing import Any, Final, cast

import click

from otel_mlmon.errors import ConfigError
from otel_mlmon.reference.table import Columns
from otel_mlmon.rulefile import parse_duration

FILE: Final = click.Path(path_type=Path)
_Command = Callable[..., None]
_Decorator = Callable[[_Command], _Command]


class _Output(click.Path):
    """A file to write. A missing directory is a mistake that shows before the work begins."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: there is no directory {str(path.parent)!r}")
        return path


OUTPUT: Final = _Output()


def parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """Return a callback that parses an option's text. A ValueError becomes a ConfigError that names the option."""

    def callback(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise ConfigError(f"{param.opts[0]}: {error}") from error

    return callback


def taken_as(argument: str, value: type[Any], *options: _Decorator) -> _Decorator:
    """Add options to a command. It gets them in `argument`, as one `value`: a dataclass with fields of their names."""
    names = [field.name for field in fields(value)]

    def decorate(command: _Command) -> _Command:
        @wraps(command)
        def run(**given: Any) -> None:
            values = {name: given.pop(name) for name in names if name in given}
            command(**given, **{argument: value(**values)})

        return reduce(lambda made, option: option(made), reversed(options), cast("_Command", run))

    return decorate


def column_options(*more: _Decorator, prediction_required: bool = False) -> _Decorator:
    """Add options for the roles of a file's columns. The command gets them as `columns`."""
    return taken_as(
        "columns",
        Columns,
        click.option(
            "--prediction-column",
            "prediction",
            default=None if prediction_required else "",
            required=prediction_required,
            help="Column with the model's predictions.",
        ),
        click.option("--ground-truth-column", "ground_truth", default="", help="Column with the ground truth."),
        *more,
        click.option("--exclude", multiple=True, help="A column that is no feature; may be repeated."),
        click.option("--segment", "segments", multiple=True, help="A feature that is a segment key; may be repeated."),
    )


model_option = click.option("--model", required=True, help="The model's name, as the application sends it.")
timestamp_option = click.option(
    "--timestamp-column", required=True, help="Column with the time of each prediction: ISO 8601 or Unix seconds."
)
delay_option = click.option(
    "--ground-truth-delay",
    default="0s",
    show_default=True,
    callback=parsed(parse_duration),
    help="How long after the prediction, e.g. 7d.",
)
