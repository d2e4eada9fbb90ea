"""`mlmon replay`: send logged predictions."""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from otel_mlmon.errors import ConfigError
from otel_mlmon.lab.replay import ReplayColumns, provider_to
from otel_mlmon.lab.replay import replay as send
from otel_mlmon.reference.table import read_table
from otel_mlmon.rulefile import parse_duration
from otel_mlmon.sdk.monitor import Monitor


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", required=True, help="The model's name.")
@click.option("--version", default="", help="The model's version.")
@click.option(
    "--timestamp-column", required=True, help="Column with the time of each prediction: ISO 8601 or Unix seconds."
)
@click.option("--prediction-column", required=True, help="Column with the model's predictions.")
@click.option("--ground-truth-column", default="", help="Column with the ground truth.")
@click.option("--ground-truth-delay", default="0s", show_default=True, help="How long after the prediction, e.g. 7d.")
@click.option("--id-column", default="", help="Prediction ids  [default: made of model and row, the same each time]")
@click.option("--exclude", multiple=True, help="A column that is no feature; may be repeated.")
@click.option("--segment", "segments", multiple=True, help="A feature that is a segment key; may be repeated.")
@click.option(
    "--endpoint",
    default="http://127.0.0.1:4318",
    envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
    show_default=True,
    help="OTLP/HTTP endpoint of the processor or a Collector.",
)
def replay(
    file: Path,
    model: str,
    version: str,
    timestamp_column: str,
    prediction_column: str,
    ground_truth_column: str,
    ground_truth_delay: str,
    id_column: str,
    exclude: tuple[str, ...],
    segments: tuple[str, ...],
    endpoint: str,
) -> None:
    """Send FILE (CSV or Parquet) of logged predictions through OTLP, with their own timestamps.

    Windows close and rules fire as they would have. Sending a file twice stores its rows once.

    \b
    mlmon replay log.parquet --model prices --timestamp-column at --prediction-column predicted \\
        --ground-truth-column sold_for --ground-truth-delay 7d
    """
    try:
        delay = parse_duration(ground_truth_delay)
    except ValueError as error:
        raise ConfigError(f"--ground-truth-delay: {error}") from error
    table = read_table(file)
    columns = ReplayColumns(timestamp_column, prediction_column, ground_truth_column, id_column, exclude)
    provider = provider_to(endpoint)
    monitor = Monitor(model, version, segments=segments, logger_provider=provider, flush_interval_s=60)
    console = Console(stderr=True)
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        with Progress(*bar, console=console) as progress:
            task = progress.add_task(file.name, total=table.num_rows)
            predictions, truths = send(
                table,
                file,
                columns,
                monitor,
                ground_truth_delay_ns=delay,
                now=time.time_ns(),
                progress=lambda rows: progress.advance(task, rows),
            )
    finally:
        monitor.close()
        provider.shutdown()
    click.echo(f"sent {predictions} predictions and {truths} ground truths of model {model!r}")
