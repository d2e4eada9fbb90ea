"""`mlmon`: the commands, and how their errors are shown."""

from __future__ import annotations

import sys
from typing import Final

import click

from otel_mlmon.cli.lazy import Lazy, LazyGroup
from otel_mlmon.errors import MlmonError

_COMMANDS: Final = {
    "demo": Lazy("otel_mlmon.cli.demo:demo", "Watch a model's silent failures being caught."),
    "explain": Lazy("otel_mlmon.cli.explain:explain", "Show why an alert fires."),
    "ground-truth": Lazy("otel_mlmon.cli.ground_truth:ground_truth", "Load ground truth from files."),
    "parity": Lazy("otel_mlmon.cli.parity:parity", "Compare logged predictions with the intended model's."),
    "reference": Lazy("otel_mlmon.cli.reference:reference", "Create, list and show references."),
    "replay": Lazy("otel_mlmon.cli.replay:replay", "Send a file of logged predictions through OTLP."),
    "rules": Lazy("otel_mlmon.cli.rules:rules", "Write, check, test and backtest rule files."),
    "serve": Lazy("otel_mlmon.cli.serve:serve", "Receive OTLP, store, evaluate rules, export."),
    "status": Lazy("otel_mlmon.cli.status:status", "Show models, rules, firing alerts and the processor's health."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="otel-mlmon")
def cli() -> None:
    """Watch machine-learning models with OpenTelemetry.

    Applications send their predictions as OTLP. `mlmon serve` receives them, compares each window with a reference,
    and reports to Prometheus and Alertmanager.

    \b
    A first round:
      mlmon demo                                       see everything at work
      mlmon serve --rules rules                        receive OTLP on 4317 and 4318, pages on 9464
      mlmon reference create train.csv --model prices  make a reference from training data
      mlmon ground-truth load sold.csv --model prices  load ground truth
      mlmon status                                     see models, rules and firing alerts
      mlmon explain                                    see why an alert fires
    """


def main() -> None:
    """Run a command. An error of ours is one clear message, never a traceback."""
    try:
        cli()
    except MlmonError as error:
        click.secho(f"mlmon: {error}", fg="red", err=True)
        sys.exit(1)
