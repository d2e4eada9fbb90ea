"""The SDK never raises into the application: each of its own functions is broken in turn."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import logging
from collections.abc import Callable
from typing import Any

import pytest

from otel_mlmon import Monitor
from otel_mlmon.sdk import guard
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.wire import semconv

Make = Callable[..., Monitor]

STEPS = [
    "batch",
    "buffer",
    "call",
    "emit",
    "encode",
    "fit",
    "flush",
    "inputs",
    "keep",
    "outbox",
    "redact",
    "span",
    "table",
]
NOT_TELEMETRY = {  # run at the start of the application, where errors must show, or have no work of their own
    "__init__",
    "__post_init__",
    "__enter__",
    "__exit__",
    "__aenter__",
    "__aexit__",
    "__repr__",
    "__eq__",
    "__hash__",
}
AT_THE_BOUNDARY = {  # guards of the others
    ("call", "Call.start"),
    ("call", "Call.stop"),
    ("call", "Call.fail"),
    ("call", "Call._finish"),
    ("call", "Call._end_span"),
    ("flush", "Flusher.at_exit"),
}


def internal_functions() -> list[tuple[str, str]]:
    found = []
    for step in STEPS:
        module = importlib.import_module(f"otel_mlmon.sdk.{step}")
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") != module.__name__:
                continue
            if inspect.isfunction(value):
                found.append((step, name))
            elif inspect.isclass(value) and not getattr(value, "_is_protocol", False):
                found += [(step, f"{name}.{key}") for key, part in vars(value).items() if inspect.isfunction(part)]
    for name in ("new_id", "to_ns", "active_context", "named_scores", "segment_map", "ground_truth_rows", "named"):
        found.append(("monitor", name))
    return [
        (step, name)
        for step, name in found
        if name.split(".")[-1] not in NOT_TELEMETRY and (step, name) not in AT_THE_BOUNDARY
    ]


class BrokenError(Exception):
    pass


def broken(*_: Any, **__: Any) -> Any:
    raise BrokenError


def use_everything(monitor: Monitor) -> list[Any]:
    results: list[Any] = []

    @monitor
    def price(features: dict[str, int], *, extra: int = 0) -> int:
        return features["a"] + extra

    @monitor
    async def later(features: dict[str, int]) -> int:
        return features["a"]

    results.append(price({"a": 1}, extra=1))
    results.append(asyncio.run(later({"a": 3})))
    with monitor.prediction({"a": 1}, segments={"s": 1}) as call:
        call.value, call.scores = 4, {"x": 0.5}
        results.append(4)
    with monitor.prediction([{"a": 1}]) as call:
        call.value = [1]
    results.append(type(monitor.record({"a": 1}, 5, timestamp=1.0, scores={"x": 1}, segments={"s": 2})))
    results.append(type(monitor.record_batch([{"a": 1}], [1], scores={"x": [1.0]})))
    monitor.record_batch({"a": [1, 2]}, [1, 2])
    monitor.ground_truth("x", 1)
    monitor.ground_truth_batch(["x"], [1], timestamps=[5])
    results.append(type(monitor.flush()))
    monitor.close()
    return results


EXPECTED = [2, 3, 4, str, list, bool]


@pytest.mark.parametrize(("step", "name"), internal_functions(), ids=str)
def test_the_application_goes_on_without(
    make_monitor: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, step: str, name: str
) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monitor = make_monitor(segments=["a"], hash_features=["a"], record_features_on_span=True)
    monkeypatch.setattr(f"otel_mlmon.sdk.{step}.{name}", broken)
    with caplog.at_level(logging.ERROR, "otel_mlmon"):
        assert use_everything(monitor) == EXPECTED


def test_all_works_when_nothing_is_broken(make_monitor: Make, emitted: Any) -> None:
    assert use_everything(make_monitor(segments=["a"])) == EXPECTED
    assert (len(emitted.rows()), len(emitted.rows(semconv.EVENT_GROUND_TRUTH_BATCH))) == (8, 2)


def test_a_failure_is_logged_once_and_its_rows_are_counted(
    make_monitor: Make, emitted: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monitor = make_monitor("guarded")
    with monkeypatch.context() as patched:
        patched.setattr("otel_mlmon.sdk.emit.Emitter.emit", broken)
        for _ in range(3):
            monitor.record({"a": 1}, 1)
            monitor.flush()
    assert [record.levelname for record in caplog.records if record.name == "otel_mlmon"] == ["ERROR"]
    assert "BrokenError" in caplog.text
    monitor.record({"a": 1}, 1)
    monitor.flush()
    assert [event.attributes[semconv.BATCH_DROPPED] for event in emitted.events()] == [3]
    assert LEDGER.dropped()["guarded", "failed"] == 3


def test_in_our_own_tests_failures_are_raised(make_monitor: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = make_monitor()
    monkeypatch.setattr("otel_mlmon.sdk.monitor.active_context", broken)
    with pytest.raises(BrokenError):
        monitor.record({}, 1)


BAD_DATA: dict[str, Any] = {
    "a number": 5,
    "text": "abc",
    "columns of different lengths": {"a": [1], "b": [1, 2]},
    "a list of numbers": [1, 2],
    "nothing": None,
}


@pytest.mark.parametrize("data", BAD_DATA.values(), ids=BAD_DATA.keys())
def test_data_that_is_no_table_is_explained_in_the_log(
    make_monitor: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, data: Any
) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    assert make_monitor().record_batch(data, [1]) == []
    assert "found" in caplog.text or "different lengths" in caplog.text


def test_rows_without_a_provider_are_dropped_and_counted_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor("orphan", flush_interval_s=3600)
    for _ in range(3):
        monitor.record({}, 1)
        monitor.flush()
    monitor._retire()
    assert LEDGER.dropped()["orphan", "no_provider"] == 3
    assert [record.levelname for record in caplog.records if "configure()" in record.getMessage()] == ["WARNING"]
