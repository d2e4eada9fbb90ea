"""`mlmon replay`: send logged predictions."""

from __future__ import annotations

import time
from pathlib import Path

import click

from otel_mlmon.cli.options import FILE, column_options, delay_option, model_option, timestamp_option
from otel_mlmon.cli.processor import endpoint_option
from otel_mlmon.cli.terminal import progress_bar
from otel_mlmon.lab.replay import ReplayColumns, provider_to
from otel_mlmon.lab.replay import replay as send
from otel_mlmon.reference.table import Columns, read_table
from otel_mlmon.sdk.monitor import Monitor


@click.command()
@click.argument("file", type=FILE)
@model_option
@click.option("--version", default="", help="The model's version.")
@timestamp_option
@column_options(prediction_required=True)
@delay_option
@click.option("--id-column", default="", help="Prediction ids  [default: made of model and row, the same each time]")
@endpoint_option
def replay(
    file: Path,
    model: str,
    version: str,
    timestamp_column: str,
    columns: Columns,
    ground_truth_delay: int,
    id_column: str,
    endpoint: str,
) -> None:
    """Send FILE (CSV or Parquet) of logged predictions through OTLP, with their own timestamps.

    Windows close and rules fire as they would have. Sending a file twice stores its rows once. The endpoint may also be
    a Collector's.

    \b
    mlmon replay log.parquet --model prices --timestamp-column at --prediction-column predicted \\
        --ground-truth-column sold_for --ground-truth-delay 7d
    """
    table = read_table(file)
    sent = ReplayColumns(timestamp_column, columns.prediction, columns.ground_truth, id_column, columns.exclude)
    provider = provider_to(endpoint)
    monitor = Monitor(model, version, segments=columns.segments, logger_provider=provider, flush_interval_s=60)
    try:
        with progress_bar() as progress:
            task = progress.add_task(file.name, total=table.num_rows)
            predictions, truths = send(
                table,
                file,
                sent,
                monitor,
                ground_truth_delay_ns=ground_truth_delay,
                now=time.time_ns(),
                progress=lambda rows: progress.advance(task, rows),
            )
    finally:
        monitor.close()
        provider.shutdown()
    click.echo(f"sent {predictions} predictions and {truths} ground truths of model {model!r}")
