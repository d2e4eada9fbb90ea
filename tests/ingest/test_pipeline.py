"""Nothing is acknowledged before it is committed, and everything is accounted for."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from batches import predictions

from otel_mlmon.errors import Overloaded, RejectedInput, StoreUnavailable
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.pipeline import Pipeline
from otel_mlmon.store import Store
from otel_mlmon.values import Batch, Decoded
from otel_mlmon.wire import semconv


def _decode(_signal: Any, body: bytes, _encoding: Any, received_ns: int) -> Decoded:
    """`first:count:rejected`, for tests."""
    first, count, rejected = map(int, body.split(b":"))
    batch = predictions([{"x": 1}] * count, ids=[str(first + i) for i in range(count)], times=[received_ns] * count)
    return Decoded((batch,) if count else (), {"bad": rejected} if rejected else {}, "bad" if rejected else "")


class Gate:
    """A store that commits on demand, or fails."""

    def __init__(self) -> None:
        self.inner = Store(None)
        self.open = threading.Event()
        self.entered = threading.Event()
        self.open.set()
        self.fail: Exception | None = None
        self.poison = ""
        self.commits = 0

    def commit(self, batches: Iterable[Batch], received: int) -> Sequence[Any]:
        self.entered.set()
        assert self.open.wait(10)
        listed = list(batches)
        if self.fail:
            raise self.fail
        if any(self.poison and self.poison in batch.ids.to_pylist() for batch in listed):
            raise ValueError("poison")
        self.commits += 1
        return self.inner.commit(listed, received)


@contextmanager
def _pipeline(max_rows: int = 10_000) -> Iterator[tuple[Pipeline, Gate, Counters]]:
    gate, counters = Gate(), Counters()
    made = Pipeline(gate.commit, _decode, lambda batches, received: None, counters, lambda: 1, max_queue_rows=max_rows)
    try:
        yield made, gate, counters
    finally:
        gate.open.set()
        made.close()


def _accounted(counters: Counters) -> dict[str, float]:
    names = ("stored", "duplicate", "rejected")
    return {name: counters.value(semconv.INGEST_ROWS, **{semconv.OUTCOME: name}) for name in names}


def test_the_answer_comes_after_the_commit() -> None:
    with _pipeline() as (pipeline, gate, _), ThreadPoolExecutor() as pool:
        gate.open.clear()
        answer = pool.submit(pipeline, "logs", b"0:5:0", "protobuf")
        assert gate.entered.wait(10)
        assert not answer.done()
        assert pipeline.queue_rows() == 5
        gate.open.set()
        assert answer.result(10).rejected == 0
        assert gate.inner.query("SELECT count(*) FROM predictions.m") == [(5,)]


def test_requests_that_wait_share_a_commit_and_a_full_queue_refuses() -> None:
    with _pipeline(max_rows=100) as (pipeline, gate, _), ThreadPoolExecutor(30) as pool:
        gate.open.clear()
        first = pool.submit(pipeline, "logs", b"0:10:0", "protobuf")
        assert gate.entered.wait(10)
        others = [pool.submit(pipeline, "logs", f"{i * 10}:10:0".encode(), "protobuf") for i in range(1, 10)]
        while pipeline.queue_rows() < 100:
            threading.Event().wait(0.01)
        with pytest.raises(Overloaded, match="100 rows wait"):
            pipeline("logs", b"990:10:0", "protobuf")
        gate.open.set()
        for answer in [first, *others]:
            answer.result(10)
        assert gate.commits == 2
        assert pipeline.queue_rows() == 0


def test_a_failed_commit_is_answered_as_temporary_to_all_and_counts_nothing() -> None:
    with _pipeline() as (pipeline, gate, counters):
        gate.fail = StoreUnavailable("disk full")
        with pytest.raises(StoreUnavailable, match="disk full"):
            pipeline("logs", b"0:5:0", "protobuf")
        assert sum(_accounted(counters).values()) == counters.value(semconv.INGEST_RECEIVED) == 0
        gate.fail = None
        pipeline("logs", b"0:5:0", "protobuf")
        assert _accounted(counters)["stored"] == 5


def test_request_that_cannot_be_stored_fails_alone() -> None:
    with _pipeline() as (pipeline, gate, counters), ThreadPoolExecutor() as pool:
        gate.poison = "13"
        gate.open.clear()
        first = pool.submit(pipeline, "logs", b"0:1:0", "protobuf")
        assert gate.entered.wait(10)
        poisoned = pool.submit(pipeline, "logs", b"13:1:0", "protobuf")
        good = pool.submit(pipeline, "logs", b"20:4:0", "protobuf")
        gate.open.set()
        assert first.result(10) == good.result(10)
        with pytest.raises(RejectedInput, match="cannot be stored"):
            poisoned.result(10)
        assert _accounted(counters) == {"stored": 5, "duplicate": 0, "rejected": 1}


def test_received_equals_stored_plus_duplicates_plus_rejected() -> None:
    rng = random.Random(0)
    requests = [f"{rng.randrange(300)}:{rng.randrange(20)}:{rng.randrange(3)}".encode() for _ in range(200)]
    with _pipeline() as (pipeline, gate, counters):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda body: pipeline("logs", body, "protobuf"), requests))
        found = _accounted(counters)
        sent = sum(int(part) for body in requests for part in body.split(b":")[1:])
        assert counters.value(semconv.INGEST_RECEIVED) == sent == sum(found.values())
        ((rows, ids),) = gate.inner.query("SELECT count(*), count(DISTINCT _id) FROM predictions.m")
        assert rows == ids == found["stored"]


def test_close_commits_waiting_rows_and_then_refuses() -> None:
    with _pipeline() as (pipeline, gate, _), ThreadPoolExecutor() as pool:
        gate.open.clear()
        answers = [pool.submit(pipeline, "logs", f"{i}:1:0".encode(), "protobuf") for i in range(5)]
        while pipeline.queue_rows() < 5:
            threading.Event().wait(0.01)
        gate.open.set()
        pipeline.close()
        assert [answer.result(10).rejected for answer in answers] == [0] * 5
        with pytest.raises(StoreUnavailable, match="shutting down"):
            pipeline("logs", b"0:1:0", "protobuf")
