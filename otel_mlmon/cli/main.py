"""`mlmon`: the commands, and how their errors are shown."""

from __future__ import annotations

import sys

import click

from otel_mlmon.cli.demo import demo
from otel_mlmon.cli.explain import explain
from otel_mlmon.cli.ground_truth import ground_truth
from otel_mlmon.cli.parity import parity
from otel_mlmon.cli.reference import reference
from otel_mlmon.cli.replay import replay
from otel_mlmon.cli.rules import rules
from otel_mlmon.cli.serve import serve
from otel_mlmon.cli.status import status
from otel_mlmon.errors import MlmonError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="otel-mlmon")
def cli() -> None:
    """Watch machine-learning models with OpenTelemetry.

    Applications send their predictions as OTLP; `mlmon serve` receives them, compares each window with what is
    normal, and tells Prometheus, Alertmanager and you.

    \b
    A first round:
      mlmon demo                                       see everything at work
      mlmon serve --rules rules                        receive OTLP on 4317 and 4318, pages on 9464
      mlmon reference create train.csv --model prices  say what is normal
      mlmon ground-truth load sold.csv --model prices  say what turned out to be true
      mlmon status                                     what the processor sees
      mlmon explain                                    why an alert fires
    """


for command in (serve, reference, rules, status, replay, ground_truth, demo, parity, explain):
    cli.add_command(command)


def main() -> None:
    """Entry point: our own errors are one clear message, never a traceback."""
    try:
        cli()
    except MlmonError as error:
        click.secho(f"mlmon: {error}", fg="red", err=True)
        sys.exit(1)
