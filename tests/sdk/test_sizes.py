"""Events and requests stay under their limits for rows of any size, and every lost row is counted."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

from otel_mlmon import Monitor
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.sdk.setup import Destination, make_exporters
from otel_mlmon.wire import semconv

Make = Callable[..., Monitor]


def noise(size: int) -> str:
    return os.urandom(size // 2).hex()


ROWS: dict[str, Callable[[int], dict[str, Any]]] = {
    "20 floats": lambda i: {f"f{n}": random.random() for n in range(20)},
    "2,000 features": lambda i: {f"f{n}": n for n in range(2000)},
    "texts of 50 kB": lambda i: {"text": noise(50_000), "i": i},
    "one huge row among small ones": lambda i: {"text": noise(600_000) if i == 7 else "x", "i": i},
    "a new feature in every row": lambda i: {f"f{i}": i},
    "mixed types": lambda i: {"x": random.choice([1, "1", None, 1.5, [1] * 50])},
}


@pytest.mark.parametrize("name", ROWS)
def test_every_event_is_under_the_limit_and_every_row_arrives(make_monitor: Make, emitted: Any, name: str) -> None:
    monitor = make_monitor()
    row = ROWS[name]
    ids = [monitor.record(row(i), i) for i in range(60)]
    monitor.flush()
    assert [found["prediction_id"] for found in emitted.rows()] == ids
    assert sum(found["lost"] for found in emitted.rows()) == (1 if "huge" in name else 0)
    assert [event.attributes[semconv.BATCH_SIZE] for event in emitted.events()] == [len(t) for t in emitted.tables()]
    assert max(len(event.body) for event in emitted.events()) < semconv.MAX_EVENT_BYTES - 4096


GIANTS: dict[str, tuple[dict[str, Any], set[str], int]] = {
    "one giant text": ({"big": noise(400_000), "small": 1}, {"small"}, 1),
    "two giants, one nested": ({"big": noise(300_000), "deep": {"a": [noise(300_000)]}, "s": "x"}, {"s"}, 2),
    "many that are large together": ({f"t{n}": noise(60_000) for n in range(6)}, set(), 0),
    "too many features to name": ({f"feature-number-{n:06d}": n for n in range(5_000)}, set(), 0),
}


@pytest.mark.parametrize(("features", "kept", "lost"), GIANTS.values(), ids=GIANTS.keys())
def test_a_giant_row_loses_its_largest_cells_and_says_how_many(
    make_monitor: Make, emitted: Any, features: dict[str, Any], kept: set[str], lost: int
) -> None:
    monitor = make_monitor()
    monitor.record(features, 7, id="giant")
    monitor.flush()
    (table,) = emitted.tables()
    (row,) = emitted.rows()
    names = {name for name in table.column_names if name.startswith(semconv.COLUMN_FEATURE_PREFIX)}
    assert len(emitted.events()[0].body) < semconv.MAX_EVENT_BYTES
    assert row["lost"] == len(features) - len(names)
    assert 0 < row["lost"] < len(features)
    assert row["prediction"] == 7
    # A cell that was cut off is in no column: neither null, nor absent, nor other.
    assert not [name for name in table.column_names if name.startswith((semconv.COLUMN_ABSENT_PREFIX, "other."))]
    if kept:
        assert ({name.removeprefix("feature.") for name in names}, row["lost"]) == (kept, lost)


def test_row_that_cannot_be_made_to_fit_is_counted(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor("unfit")
    monitor.record({"x": 1}, 1, id=noise(600_000))
    monitor.ground_truth("y", noise(600_000))
    monitor.record({"x": 1}, 1, id="fits")
    monitor.flush()
    monitor.record({"x": 1}, 1, id="next")
    monitor.flush()
    assert [row["prediction_id"] for row in emitted.rows()] == ["fits", "next"]
    assert [event.attributes.get(semconv.BATCH_DROPPED) for event in emitted.events()] == [1, None]
    assert LEDGER.dropped()["unfit", "too_large"] == 2


def test_cell_that_cannot_be_encoded_is_lost_alone(make_monitor: Make, emitted: Any) -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("broken")

    endless: list[Any] = []
    endless.append(endless)
    monitor = make_monitor()
    for value in (1, Broken(), endless, 2):
        monitor.record({"x": value, "y": 1}, 0.5)
    monitor.flush()
    rows = sorted(emitted.rows(), key=lambda row: int(row["prediction_id"].split("-")[1]))
    assert [(row.get("feature.x"), row["feature.y"], row["lost"]) for row in rows] == [
        (1, 1, 0),
        (None, 1, 1),
        (None, 1, 1),
        (2, 1, 0),
    ]


def test_a_full_buffer_refuses_the_newest_rows_and_counts_them(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor("full", max_buffer_rows=10)
    monitor._outbox.predictions._on_wait = lambda: None
    for i in range(25):
        monitor.record({"x": i}, i)
    monitor.flush()
    assert [row["feature.x"] for row in emitted.rows()] == list(range(10))
    assert emitted.events()[0].attributes[semconv.BATCH_DROPPED] == 15
    assert LEDGER.dropped()["full", "buffer_full"] == 15


def test_a_batch_larger_than_the_buffer_goes_through_in_parts(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor(max_buffer_rows=1000)
    ids = monitor.record_batch({"x": list(range(10_000))}, list(range(10_000)))
    monitor.flush()
    assert [row["prediction_id"] for row in emitted.rows()] == ids


def test_requests_of_the_standard_batch_processor_stay_under_4_mib(server: Any) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    (exporter,) = make_exporters("logs", Destination(server.url, None))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, schedule_delay_millis=60_000))
    monitor = Monitor("a", logger_provider=provider, flush_interval_s=3600)
    for i in range(160):
        monitor.record({"text": noise(80_000), "i": i}, 1)
    assert monitor.flush()
    monitor._retire()
    provider.shutdown()
    assert len(server.rows()) == 160
    assert sum(server.sizes) > 12_000_000
    assert max(server.sizes) < semconv.MAX_REQUEST_BYTES
