"""Cost of monitoring: `record()` per call and the flush per row, beside two operations of known cost.

Compare ratios, not nanoseconds, between machines. Run: python benchmarks/instrument.py
"""

from __future__ import annotations

import gc
import random
import time
from collections import deque
from collections.abc import Callable

from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_mlmon import Monitor
from otel_mlmon.wire import semconv

ROWS = 20_000
ROUNDS = 5


class Sink(LogRecordProcessor):
    """Counts the bytes that would be exported."""

    def __init__(self) -> None:
        self.sent = 0

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Take one event."""
        body = log_record.log_record.body
        self.sent += len(body) if isinstance(body, bytes) else 0

    def shutdown(self) -> None:
        """Nothing to end."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        return True


def best_ns(work: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> float:
    """Nanoseconds per row of the fastest round."""
    found = []
    for _ in range(ROUNDS):
        prepare()
        gc.collect()
        start = time.perf_counter_ns()
        work()
        found.append((time.perf_counter_ns() - start) / ROWS)
    return min(found)


def main() -> None:
    """Measure and print the table."""
    sink = Sink()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(sink)
    # An interval without end: the flush thread must not work while record() is measured.
    monitor = Monitor("bench", "1", logger_provider=provider, flush_interval_s=3600, max_buffer_rows=10 * ROWS)
    monitor.record({}, 0.0)
    monitor.flush()
    monitor._outbox.predictions._wake_rows = 10 * ROWS
    features = {f"f{i}": random.random() if i % 4 else random.choice("abc") for i in range(20)}
    table = {name: [value] * ROWS for name, value in features.items()}
    predictions = [1.0] * ROWS
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    histogram = meters.get_meter("bench").create_histogram(semconv.DURATION.name)
    attributes = {semconv.MODEL_NAME: "bench", semconv.MODEL_VERSION: "1"}
    plain: deque[dict[str, object]] = deque()

    def record() -> None:
        for _ in range(ROWS):
            monitor.record(features, 1.0)

    def call() -> None:
        for _ in range(ROWS):
            with monitor.prediction(features) as prediction:
                prediction.value = 1.0

    def append() -> None:
        for _ in range(ROWS):
            plain.append(dict(features))

    def histogram_record() -> None:
        for _ in range(ROWS):
            histogram.record(0.001, attributes)

    def batch() -> None:
        monitor.record_batch(table, predictions)
        monitor.flush()

    rows = [
        ("deque.append of a copy of the dict", best_ns(append, plain.clear)),
        ("Histogram.record of the SDK", best_ns(histogram_record)),
        ("monitor.record", best_ns(record, monitor.flush)),
        ("with monitor.prediction", best_ns(call, monitor.flush)),
        ("flush of single rows, in the background", best_ns(monitor.flush, record)),
        ("record_batch of a dict of columns, with its flush", best_ns(batch, monitor.flush)),
    ]
    appended, recorded = rows[0][1], rows[1][1]
    print(f"{len(features)} features, best of {ROUNDS} rounds of {ROWS:,} rows\n")
    print(f"{'per row':<52}{'ns':>8}{'x append':>10}{'x Histogram':>13}")
    for name, cost in rows:
        print(f"{name:<52}{cost:>8.0f}{cost / appended:>10.1f}{cost / recorded:>13.2f}")
    sink.sent = 0
    batch()
    print(f"\nbytes per row on the wire, before compression: {sink.sent / ROWS:.0f}")
    monitor._retire()


if __name__ == "__main__":
    main()
