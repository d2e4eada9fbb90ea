"""An instrumented call is recorded and does not change the behaviour of the application."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otel_mlmon import Monitor
from otel_mlmon.errors import ConfigError
from otel_mlmon.sdk import guard
from otel_mlmon.wire import semconv

Make = Callable[..., Monitor]


@dataclass
class House:
    rooms: int
    region: str


class Service:
    def __init__(self, monitor: Monitor) -> None:
        self.price = monitor(self._price)

    def _price(self, rooms: int, *, region: str = "north", **extra: Any) -> float:
        return rooms * 2.0


CAPTURES: dict[str, tuple[Callable[[Monitor], Any], dict[str, Any]]] = {
    "a mapping": (lambda m: m(lambda f: 1)({"a": 1}), {"a": 1}),
    "the first mapping, not the first argument": (lambda m: m(lambda n, f: 1)(3, {"a": 1}), {"a": 1}),
    "a data class": (lambda m: m(lambda h: 1)(House(3, "x")), {"rooms": 3, "region": "x"}),
    "all arguments by name": (lambda m: m(lambda a, b=2, *, c: 1)(1, c=3), {"a": 1, "b": 2, "c": 3}),
    "a method": (lambda m: Service(m).price(3, size=9), {"rooms": 3, "region": "north", "size": 9}),
    "a named argument": (lambda m: m(features="g")(lambda f, g: 1)({"a": 1}, {"b": 2}), {"b": 2}),
    "a function of the arguments": (lambda m: m(features=lambda x: {"x2": x * 2})(lambda x: 1)(4), {"x2": 8}),
    "the predict spelling": (lambda m: m.predict(lambda f: 1)({"a": 1}), {"a": 1}),
}


@pytest.mark.parametrize(("call", "expected"), CAPTURES.values(), ids=CAPTURES.keys())
def test_the_decorator_takes_as_features(make_monitor: Make, emitted: Any, call: Any, expected: Any) -> None:
    monitor = make_monitor()
    call(monitor)
    monitor.flush()
    (row,) = emitted.rows()
    found = {name.removeprefix("feature."): row[name] for name in row if name.startswith("feature.")}
    assert found == expected
    assert row["duration"] >= 0


def test_the_decorator_keeps_name_and_result_and_id(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()

    @monitor(features="features", id="request_id")
    def price(request_id: str, features: Mapping[str, Any]) -> Any:
        """Price."""
        return np.array([4.5])

    result = price("r1", {"a": 1})
    assert (price.__name__, price.__doc__, result.tolist()) == ("price", "Price.", [4.5])
    monitor.flush()
    assert [(row["prediction_id"], row["prediction"]) for row in emitted.rows()] == [("r1", 4.5)]


def test_a_decorated_batch_function_records_every_row(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    price = monitor(lambda frame: frame["a"] * 2)
    price(pd.DataFrame({"a": [1, 2, 3]}))
    monitor.flush()
    assert [(row["feature.a"], row["prediction"]) for row in emitted.rows()] == [(1, 2), (2, 4), (3, 6)]


def test_async_calls_side_by_side(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()

    @monitor
    async def price(features: Mapping[str, int]) -> int:
        await asyncio.sleep(0)
        return features["a"] * 2

    async def main() -> list[int]:
        async with monitor.prediction({"a": 100}) as call:
            call.value = 200
        return list(await asyncio.gather(*(price({"a": i}) for i in range(50))))

    assert asyncio.run(main()) == [i * 2 for i in range(50)]
    monitor.flush()
    assert len(emitted.rows()) == 51
    assert all(row["prediction"] == 2 * row["feature.a"] for row in emitted.rows())


class ModelError(Exception):
    pass


def test_exceptions_of_the_application_pass_unmodified(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    error = ModelError("no")

    @monitor
    def price(features: Mapping[str, int]) -> int:
        raise error

    with pytest.raises(ModelError) as raised:
        price({"a": 1})
    assert raised.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    assert raised.traceback[-1].name == "price"
    with pytest.raises(ModelError), monitor.prediction({"a": 2}):
        raise error
    monitor.flush()
    assert [(row["error_type"], row.get("absent.prediction")) for row in emitted.rows()] == [("ModelError", True)] * 2


def test_cancellation_is_recorded_and_passes(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()

    @monitor
    async def price(features: Mapping[str, int]) -> int:
        await asyncio.Event().wait()
        return 1

    async def main() -> None:
        task = asyncio.create_task(price({"a": 1}))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    monitor.flush()
    assert [row["error_type"] for row in emitted.rows()] == ["CancelledError"]


def test_a_call_ends_once(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    call = monitor.prediction({"a": 1}).start()
    call.value = 1
    call.stop()
    call.stop()
    call.fail(ValueError())
    monitor.flush()
    assert [(row["prediction"], row["error_type"]) for row in emitted.rows()] == [(1, None)]


def test_wrong_call_fails_as_without_the_decorator(make_monitor: Make) -> None:
    price = make_monitor()(lambda rooms: rooms)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'rooms'"):
        price()


@pytest.mark.parametrize("form", ["generator", "unknown argument"])
def test_decorator_refuses_generators_and_unknown_arguments(make_monitor: Make, form: str) -> None:
    def stream(features: Any) -> Any:
        yield 1

    monitor = make_monitor()
    with pytest.raises(ConfigError, match="generator" if form == "generator" else "allowed are the arguments features"):
        monitor(stream) if form == "generator" else monitor(features="nope")(lambda features: 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": ""},
        {"name": 3},
        {"segments": "region"},
        {"features": "a"},
        {"flush_interval_s": 0},
        {"max_buffer_rows": 0},
    ],
    ids=str,
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"found .* allowed"):
        Monitor(**{"name": "m"} | arguments)


TIMES = [
    (1_700_000_000_000_000_001, 1_700_000_000_000_000_001),
    (1_700_000_000.25, 1_700_000_000_250_000_000),
    (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), 1_767_323_045_000_006_000),
    (datetime(2026, 1, 2, 3, 4, 5, 6), 1_767_323_045_000_006_000),
    (datetime(2026, 1, 2, 4, 4, 5, 6, tzinfo=timezone(timedelta(hours=1))), 1_767_323_045_000_006_000),
    (pd.Timestamp("2026-01-02T03:04:05.000006007"), 1_767_323_045_000_006_007),
    (np.datetime64("2026-01-02T03:04:05"), 1_767_323_045_000_000_000),
    (np.int64(5), 5),
]


@pytest.mark.parametrize(("given", "expected"), TIMES, ids=[repr(given) for given, _ in TIMES])
def test_times_in_every_format(make_monitor: Make, emitted: Any, given: Any, expected: int) -> None:
    monitor = make_monitor()
    monitor.record({}, 1, timestamp=given)
    monitor.record_batch([{}], timestamps=[given])
    monitor.ground_truth("x", 1, timestamp=given)
    monitor.flush()
    found = [row["time_unix_nano"] for row in (*emitted.rows(), *emitted.rows(semconv.EVENT_GROUND_TRUTH_BATCH))]
    assert found == [expected] * 3


@pytest.mark.parametrize("given", ["yesterday", True, -1, 2**63, float("nan"), float("inf"), pd.NaT], ids=repr)
def test_row_with_an_invalid_time_is_lost_alone(
    make_monitor: Make, emitted: Any, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monitor = make_monitor()
    monitor.record({"x": 1}, 1, timestamp=given)
    monitor.record({"x": 2}, 1)
    monitor.flush()
    assert [row["feature.x"] for row in emitted.rows()] == [2]
    assert emitted.events()[0].attributes[semconv.BATCH_DROPPED] == 1


def spans_of(sampler: Any = None) -> tuple[TracerProvider, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


def test_the_span_is_small_and_the_row_points_to_it(make_monitor: Make, emitted: Any) -> None:
    provider, spans = spans_of()
    monitor = make_monitor(tracer_provider=provider)
    with pytest.raises(ModelError), monitor.prediction({"secret": 1}, id="p1"):
        raise ModelError
    monitor.flush()
    (span,) = spans.get_finished_spans()
    assert (span.name, span.kind.name, span.status.status_code.name) == ("predict house", "INTERNAL", "ERROR")
    assert dict(span.attributes or {}) == {
        semconv.MODEL_NAME: "house",
        semconv.MODEL_VERSION: "1",
        semconv.PREDICTION_ID: "p1",
        semconv.ERROR_TYPE: "ModelError",
    }
    (row,) = emitted.rows()
    assert (int(row["trace_id"], 16), int(row["span_id"], 16)) == (span.context.trace_id, span.context.span_id)


def test_features_on_spans_only_when_asked_and_redacted(make_monitor: Make) -> None:
    provider, spans = spans_of()
    monitor = make_monitor(tracer_provider=provider, record_features_on_span=True, features=["a", "b"])
    monitor(lambda f: 1)({"a": 1, "b": [1], "secret": 2})
    attributes = dict(spans.get_finished_spans()[0].attributes or {})
    assert {name: value for name, value in attributes.items() if name.startswith(semconv.FEATURE_PREFIX)} == {
        f"{semconv.FEATURE_PREFIX}a": 1,
        f"{semconv.FEATURE_PREFIX}b": "[1]",
    }


def test_rows_do_not_depend_on_the_sampler(make_monitor: Make, emitted: Any) -> None:
    provider, spans = spans_of(ALWAYS_OFF)
    monitor = make_monitor(tracer_provider=provider)
    for _ in range(10):
        monitor(lambda f: 1)({"a": 1})
    monitor.flush()
    assert (len(spans.get_finished_spans()), len(emitted.rows())) == (0, 10)


def test_row_points_to_the_active_span_of_the_application(make_monitor: Make, emitted: Any) -> None:
    provider, _ = spans_of()
    monitor = make_monitor()
    with provider.get_tracer("app").start_as_current_span("request") as span:
        monitor.record({}, 1)
        monitor.flush()
    assert emitted.rows()[0]["span_id"] == f"{span.get_span_context().span_id:016x}"
    assert emitted.events()[0].span_id == 0, "the batch itself belongs to no span"


def test_metrics_come_from_counts(make_monitor: Make) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    monitor = make_monitor("counted", "2", meter_provider=provider, max_buffer_rows=5)
    make_monitor("counted", "2", meter_provider=provider)
    monitor._outbox.predictions._on_wait = lambda: None
    for _ in range(3):
        monitor.record({}, 1)
    with pytest.raises(ModelError), monitor.prediction({}):
        raise ModelError
    for _ in range(3):
        monitor.record({}, 1)
    monitor.flush()
    data = reader.get_metrics_data()
    assert data is not None
    points = {
        (metric.name, *sorted((key, str(value)) for key, value in (point.attributes or {}).items())): point.value
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
        if (point.attributes or {}).get(semconv.MODEL_NAME) == "counted"
    }
    model = ((semconv.MODEL_NAME, "counted"), (semconv.MODEL_VERSION, "2"))
    assert points == {
        (semconv.PREDICTIONS.name, *model): 4 + 2,  # refused predictions were made, too
        (semconv.PREDICTIONS.name, (semconv.ERROR_TYPE, "ModelError"), *model): 1,
        (semconv.SDK_DROPPED.name, model[0], (semconv.REASON, "buffer_full")): 2,
    }


def test_many_threads_lose_nothing(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()

    def work(number: int) -> None:
        for i in range(500):
            monitor.record({"t": number, "i": i}, 1)
            if i % 100 == 0:
                monitor.flush()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.flush()
    rows = emitted.rows()
    assert len({row["prediction_id"] for row in rows}) == len(rows) == 2000
