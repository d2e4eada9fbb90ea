"""Replay a file of logged predictions as OTLP, with its timestamps and the delay of its ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider

from otel_mlmon.errors import MlmonError
from otel_mlmon.reference.table import check_columns, timestamps
from otel_mlmon.sdk.deliver import DeliveringLogRecordProcessor
from otel_mlmon.sdk.monitor import Monitor

CHUNK_CELLS = 40_000  # rows × columns of one request, far below OTLP's limits


def provider_to(endpoint: str) -> LoggerProvider:
    """Make a logger provider that delivers to an OTLP/HTTP base URL, such as http://127.0.0.1:4318."""
    provider = LoggerProvider()
    exporter = OTLPLogExporter(endpoint=f"{endpoint.rstrip('/')}/v1/logs")
    # Only a flush sends. Predictions and ground truths of the same time then arrive in one request, and no window
    # closes between them.
    provider.add_log_record_processor(DeliveringLogRecordProcessor(exporter, interval_s=3600.0))
    return provider


@dataclass(frozen=True, slots=True)
class ReplayColumns:
    """Names of columns. With `ids` "", the id of a row is the model's name and the row number."""

    timestamp: str
    prediction: str
    ground_truth: str = ""
    ids: str = ""
    exclude: tuple[str, ...] = ()


def replay(
    table: pa.Table,
    where: Path,
    columns: ReplayColumns,
    monitor: Monitor,
    *,
    ground_truth_delay_ns: int,
    now: int,
    progress: Callable[[int], None] = lambda rows: None,
) -> tuple[int, int]:
    """Send all rows in the order of time, each ground truth `ground_truth_delay_ns` after its prediction.

    Ground truths that are known only after `now` (ns) are not sent. Returns (predictions, ground truths). Raises
    BadReference for missing columns and bad timestamps, MlmonError if the processor does not take the rows.
    """
    named = (columns.timestamp, columns.prediction, columns.ground_truth, columns.ids, *columns.exclude)
    check_columns(where, table, named)
    times = timestamps(table[columns.timestamp], where, columns.timestamp)
    order = np.argsort(times, kind="stable")
    table, times = table.take(pa.array(order)), times[order]
    ids = [str(i) for i in table[columns.ids].to_pylist()] if columns.ids else [f"{monitor.name}-{i}" for i in order]
    features = [name for name in table.column_names if name not in named]
    truth_times = times + ground_truth_delay_ns
    chunk = max(1, CHUNK_CELLS // len(table.column_names))

    def tell(first: int, last: int) -> None:
        if last > first:
            values = table[columns.ground_truth].slice(first, last - first).to_pylist()
            monitor.ground_truth_batch(ids[first:last], values, timestamps=truth_times[first:last].tolist())

    sent, last = 0, int((truth_times <= now).sum()) if columns.ground_truth else 0
    for first in range(0, len(times), chunk):
        rows = slice(first, first + chunk)
        part = table.slice(first, chunk)
        monitor.record_batch(
            {name: part[name].to_pylist() for name in features},
            part[columns.prediction].to_pylist(),
            ids=ids[rows],
            timestamps=times[rows].tolist(),
        )
        due = min(int(np.searchsorted(truth_times, times[rows][-1], side="right")), last)
        tell(sent, due)
        sent = max(sent, due)
        _flush(monitor)
        progress(part.num_rows)
    for first in range(sent, last, chunk):
        tell(first, min(first + chunk, last))
        _flush(monitor)
    return len(times), last


def _flush(monitor: Monitor) -> None:
    if not monitor.flush(timeout_s=120.0):
        raise MlmonError("the processor did not take the predictions within two minutes; is `mlmon serve` running?")
