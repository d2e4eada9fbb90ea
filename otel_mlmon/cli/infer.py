"""`mlmon rules infer`: a first rule file."""

from __future__ import annotations

from pathlib import Path

import click

from otel_mlmon.cli.options import OUTPUT, parsed
from otel_mlmon.cli.processor import processor_option
from otel_mlmon.cli.reference import ReferenceKey, fetch
from otel_mlmon.cli.rules import or_exit
from otel_mlmon.errors import ConfigError
from otel_mlmon.lab.infer import infer as infer_rules
from otel_mlmon.reference.artefact import read_artefact
from otel_mlmon.rulefile import parse_text
from otel_mlmon.rulefile.quantities import parse_budget, parse_duration


@click.command()
@click.option(
    "--reference", "source", default="training", show_default=True, help="A reference of the processor, or an artefact."
)
@click.option("--model", default="", help="The model, for a reference of the processor.")
@click.option("--version", default="", help="The model's version  [default: the reference for every version]")
@click.option("--window", default="1h", show_default=True, callback=parsed(parse_duration), help="Length of a window.")
@click.option(
    "--interval",
    callback=parsed(parse_duration),
    help="Time between two evaluations  [default: a twelfth of the window]",
)
@click.option("--false-alarms", default="1 per quarter", show_default=True, help="Budget of false alarms.")
@click.option("--output", type=OUTPUT, help="Write to this file  [default: print]")
@processor_option
def infer(
    source: str,
    model: str,
    version: str,
    window: int,
    interval: int | None,
    false_alarms: str,
    output: Path | None,
    processor: str,
) -> None:
    """Write a first rule file from a reference: few rules, with their figures as comments.

    \b
    mlmon rules infer --reference training --model prices --output rules/prices.yaml
    mlmon rules infer --reference prices.training.yaml --false-alarms "1 per month"
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.exists():
        reference = read_artefact(path)
    elif not model:
        raise ConfigError("--model is missing: it names the model of the reference (or name the file of an artefact)")
    else:
        reference = fetch(processor, ReferenceKey(model, source, version))
    try:
        parse_budget(false_alarms)
        text = infer_rules(reference, window=window, interval=interval, false_alarms=false_alarms)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    written = or_exit(lambda: parse_text(text, output or Path("inferred.yaml")))
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, "utf-8")
    n = sum(len(group.rules) for group in written.groups)
    click.echo(f"{output}: {n} rules in {len(written.groups)} groups")
