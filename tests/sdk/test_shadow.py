"""The intended model beside the user's calls: its answers are sent with the sampled rows, and nothing else changes."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from sdk.sdk_receivers import wait_until

from otel_mlmon import Monitor
from otel_mlmon.errors import ConfigError
from otel_mlmon.ingest.decode.batch import prediction_batch
from otel_mlmon.sdk import guard
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.sdk.shadow import MOST_WAITING, Shadow
from otel_mlmon.sdk.table import Table
from otel_mlmon.wire import semconv

Make = Callable[..., Monitor]


def run(script: str, **environment: str) -> str:
    """Run `script` in a fresh interpreter and return its output."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    argv = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(argv, env=inherited | environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def double(features: Mapping[str, Any]) -> float:
    return 2.0 * float(features["x"])


def shadows(emitted: Any) -> dict[str, Any]:
    """Return the shadow's prediction by id, None without an answer."""
    return {row["prediction_id"]: row.get("shadow") for row in emitted.rows()}


def missed(model: str) -> dict[str, int]:
    return {reason: n for (of, reason), n in LEDGER.missed().items() if of == model}


def test_every_way_to_record_carries_the_answer_of_the_shadow(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor(shadow=double, shadow_rate=1.0, segments=["town"])

    @monitor
    async def price(features: Mapping[str, Any]) -> float:
        return 5.0

    monitor.record({"x": 1.0}, 5.0, id="record", scores={"high": 0.5}, segments={"channel": "web"})
    with monitor.prediction({"x": 2.0}, id="context") as call:
        call.value = 5.0
    asyncio.run(price({"x": 3.0}))
    monitor.record_batch(
        {"x": [4.0, 5.0], "town": ["a", "b"]}, [5.0, 5.0], ids=["b1", "b2"], scores={"high": [0.1, 0.2]}
    )
    monitor.record_batch([{"x": 6.0}, {"x": 7.0, "y": 1}], [5.0, 5.0], ids=["d1", "d2"])
    assert monitor.flush()
    found = shadows(emitted)
    assert len(found) == 7
    assert sorted(found.values()) == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0]
    rows = {row["prediction_id"]: row for row in emitted.rows()}
    assert (rows["record"]["score.high"], rows["record"]["segment.channel"]) == (0.5, "web")
    assert [(rows[i]["feature.town"], rows[i]["segment.town"], rows[i]["score.high"]) for i in ("b1", "b2")] == [
        ("a", "a", 0.1),
        ("b", "b", 0.2),
    ]
    assert rows["d1"]["absent.feature.y"]
    assert (rows["d2"]["feature.y"], rows["d2"]["prediction"]) == (1, 5.0)


def test_shadow_gets_only_the_sampled_share_and_every_row_arrives_once(make_monitor: Make, emitted: Any) -> None:
    asked: list[Any] = []
    monitor = make_monitor(shadow=lambda features: asked.append(features["x"]) or 0.0, shadow_rate=0.1)
    for i in range(1_000):
        monitor.record({"x": i}, 1.0, id=f"r{i}")
    monitor.record_batch({"x": list(range(1_000, 5_000))}, [1.0] * 4_000, ids=[f"r{i}" for i in range(1_000, 5_000)])
    assert monitor.flush()
    found = shadows(emitted)
    assert len(emitted.rows()) == len(found) == 5_000
    answered = {id_ for id_, said in found.items() if said is not None}
    assert {f"r{x}" for x in asked} == answered
    assert len(asked) == len(answered)
    assert abs(len(answered) - 500) < 4 * (5_000 * 0.1 * 0.9) ** 0.5
    # Rows that are not sampled are sent in batches without this column.
    assert any(semconv.COLUMN_SHADOW not in table.column_names for table in emitted.tables())


def test_replicas_sample_the_same_ids(make_monitor: Make, emitted: Any) -> None:
    ids = [f"request-{i}" for i in range(300)]
    chosen = []
    for _ in range(2):
        monitor = make_monitor(shadow=double, shadow_rate=0.2)
        monitor.record_batch({"x": [1.0] * 300}, [1.0] * 300, ids=ids)
        monitor.flush()
        chosen.append({id_ for id_, said in shadows(emitted).items() if said is not None})
    # Known values: another hash would make replicas of different releases disagree.
    expected = {f"request-{i}" for i in (0, 3, 5, 7, 9)}
    assert chosen[0] == chosen[1] >= expected
    assert {id_ for id_ in chosen[0] if int(id_.split("-")[1]) < 20} == expected


def test_values_of_the_shadow_keep_their_types(make_monitor: Make, emitted: Any) -> None:
    answers = iter([1, 1.5, "high", True, None, np.array([2.5]), np.float32(0.5), [1, 2]])
    monitor = make_monitor(shadow=lambda features: next(answers), shadow_rate=1.0)
    for i in range(8):
        monitor.record({"x": i}, 1.0, id=str(i))
    monitor.flush()
    found = []
    for event in emitted.events():
        column = prediction_batch(event.attributes, event.body).fields[semconv.FIELD_SHADOW]
        others = [None] * len(column.values) if column.other is None else column.other.to_pylist()
        held = column.values.to_pylist()
        found += [value if other is None else json.loads(other) for value, other in zip(held, others, strict=True)]
    assert found == [1, 1.5, "high", True, None, 2.5, 0.5, [1, 2]]
    assert [type(value) for value in found[:4]] == [int, float, str, bool]


def test_shadow_that_raises_loses_only_its_answer(make_monitor: Make, emitted: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)

    def sometimes(features: Mapping[str, Any]) -> float:
        if features["x"] % 2:
            raise SystemExit("no")
        return 1.0

    monitor = make_monitor("raising", shadow=sometimes, shadow_rate=1.0)
    for i in range(10):
        monitor.record({"x": i}, 1.0, id=str(i))
    assert monitor.flush()
    assert shadows(emitted) == {str(i): None if i % 2 else 1.0 for i in range(10)}
    assert missed("raising") == {"failed": 5}
    assert not [of for of, _ in LEDGER.dropped() if of == "raising"]
    assert all(semconv.BATCH_DROPPED not in event.attributes for event in emitted.events())


def test_hanging_shadow_blocks_nothing_and_loses_no_row(make_monitor: Make, emitted: Any) -> None:
    go = threading.Event()
    started = threading.Event()

    def hang(features: Mapping[str, Any]) -> float:
        started.set()
        go.wait(60)
        return 1.0

    monitor = make_monitor("hanging", shadow=hang, shadow_rate=1.0)
    monitor.record({"x": 0}, 1.0, id="0")
    started.wait(60)
    for i in range(1, MOST_WAITING + 8):
        monitor.record({"x": i}, 1.0, id=str(i))
    assert not monitor.flush(0.2), "what waits for its shadow has not been sent"
    assert shadows(emitted) == {str(i): None for i in range(MOST_WAITING + 1, MOST_WAITING + 8)}
    monitor._outbox.close(0.0)
    monitor.close()
    assert missed("hanging") == {"queue_full": 7, "closed": MOST_WAITING + 1}
    assert len(emitted.rows()) == MOST_WAITING + 8
    go.set()
    wait_until(lambda: not any(t.name == "otel-mlmon-shadow" for t in threading.enumerate()))
    monitor._outbox.drain()
    assert shadows(emitted) == {str(i): None for i in range(MOST_WAITING + 8)}, "an answer that comes too late is none"
    assert len(emitted.rows()) == MOST_WAITING + 8


def test_next_flush_releases_rows_that_waited_too_long() -> None:
    go = threading.Event()
    passed: list[Any] = []
    reasons: list[str] = []
    shadow = Shadow(
        lambda features: go.wait(60),
        1.0,
        forward=passed.append,
        forward_table=passed.append,
        answered=passed.append,
        missed=reasons.append,
        patience_s=0.0,
    )
    row = ("1", 0, {}, 1.0, None, None, None, None, None)
    shadow.add(row)
    shadow.release_late()
    assert (passed, reasons) == ([row], ["too_slow"])
    go.set()
    assert shadow.settle(60)
    shadow.close(0)
    assert len(passed) == 1


def test_flush_waits_for_pending_answers(make_monitor: Make, emitted: Any) -> None:
    go = threading.Event()
    monitor = make_monitor(shadow=lambda features: go.wait(60) and 3.0, shadow_rate=1.0)
    monitor.record({"x": 1}, 1.0, id="a")
    threading.Timer(0.1, go.set).start()
    assert monitor.flush()
    assert shadows(emitted) == {"a": 3.0}


def test_shadow_gets_its_own_copy_of_unredacted_features(make_monitor: Make, emitted: Any) -> None:
    def spoil(features: dict[str, Any]) -> Any:
        return features.pop("street")

    monitor = make_monitor(shadow=spoil, shadow_rate=1.0, features=["street", "x"], hash_features=["street"])
    monitor.record({"x": 1, "street": "Seestr. 1", "unsent": 3}, 1.0)
    monitor.flush()
    (row,) = emitted.rows()
    assert row["shadow"] == "Seestr. 1"
    assert row["feature.x"] == 1
    assert len(row["feature.street"]) == 16
    assert "feature.unsent" not in row


def test_a_call_that_failed_has_no_shadow(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor(shadow=double, shadow_rate=1.0)
    with pytest.raises(ZeroDivisionError), monitor.prediction({"x": 1.0}):
        _ = 1 / 0
    monitor.record_batch({"x": [1.0]})
    monitor.flush()
    assert [row.get("shadow") for row in emitted.rows()] == [None, None]


def test_a_shadow_that_is_itself_instrumented_has_no_shadow(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor(shadow=lambda features: predict(dict(features)), shadow_rate=1.0)

    @monitor
    def predict(features: Mapping[str, Any]) -> float:
        return 7.0

    predict({"x": 1})
    assert monitor.flush()
    assert sorted(str(row.get("shadow")) for row in emitted.rows()) == ["7.0", "None"]


def test_shadow_thread_starts_with_the_first_sampled_row(make_monitor: Make) -> None:
    monitor = make_monitor(shadow=double, shadow_rate=1e-9)
    monitor.record({"x": 1.0}, 1.0, id="not sampled")
    shadow = monitor._outbox.shadow
    assert shadow is not None
    assert shadow._thread is None


def test_unreferenced_monitor_leaves_no_row_and_no_thread(emitted: Any) -> None:
    go = threading.Event()
    monitor = Monitor("gone", logger_provider=emitted.provider, shadow=lambda features: go.wait(60), shadow_rate=1.0)
    for i in range(5):
        monitor.record({"x": i}, 1.0, id=str(i))
    del monitor
    gc.collect()
    wait_until(lambda: len(emitted.rows()) == 5)
    go.set()
    wait_until(lambda: not any(thread.name == "otel-mlmon-shadow" for thread in threading.enumerate()))
    assert set(shadows(emitted).values()) == {None}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"shadow": 3}, "shadow: found 3"),
        ({"shadow": asyncio.sleep}, "shadow: found the async function sleep"),
        ({"shadow": double, "shadow_rate": 0}, "shadow_rate: found 0"),
        ({"shadow": double, "shadow_rate": 1.5}, "shadow_rate: found 1.5"),
        ({"shadow": double, "shadow_rate": "1%"}, "shadow_rate: found '1%'"),
    ],
)
def test_wrong_shadow_arguments_are_refused(arguments: dict[str, Any], found: str) -> None:
    with pytest.raises(ConfigError, match=found):
        Monitor("m", **arguments)


FUNCTIONS = [
    name for name, value in vars(Shadow).items() if inspect.isfunction(value) and name not in ("__init__", "_run")
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_application_goes_on_when_a_part_of_the_shadow_is_broken(
    make_monitor: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(guard.RAISE_VARIABLE)
    monitor = make_monitor(shadow=double, shadow_rate=1.0)

    def broken(*_: Any) -> Any:
        raise ValueError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(Shadow, name, broken)
        # The monitor holds the earlier bound methods.
        monitor._outbox.add = monitor._add = monitor._outbox.shadow.add  # type: ignore[union-attr]
        monitor._outbox.add_table = monitor._outbox.shadow.add_table  # type: ignore[union-attr]
        assert isinstance(monitor.record({"x": 1.0}, 1.0), str)
        assert isinstance(monitor.record_batch({"x": [1.0]}, [1.0]), list)
        with monitor.prediction({"x": 1.0}) as call:
            call.value = 2.0
        assert monitor.flush(0.2) in (True, False)
        monitor.close()


FORK = """
import os, sys, otel_mlmon
otel_mlmon.configure()
m = otel_mlmon.Monitor('forked', flush_interval_s=0.05, shadow=lambda f: f['i'] * 2, shadow_rate=1.0)
for i in range(50):
    m.record({'who': 'parent', 'i': i}, 1)
pid = os.fork()
if not pid:
    for i in range(50):
        m.record({'who': 'child', 'i': i}, 1)
    sys.exit(0)
for i in range(50, 100):
    m.record({'who': 'parent', 'i': i}, 1)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_forked_child_has_its_own_shadow_and_exit_waits_for_answers(server: Any) -> None:
    run(FORK, OTEL_EXPORTER_OTLP_ENDPOINT=server.url)
    found = sorted((row["feature.who"], row["feature.i"], row["shadow"]) for row in server.rows())
    assert found == [("child", i, 2 * i) for i in range(50)] + [("parent", i, 2 * i) for i in range(100)]


def test_a_process_ends_while_its_shadow_hangs(server: Any) -> None:
    output = run(
        """
        import threading, otel_mlmon
        otel_mlmon.configure()
        m = otel_mlmon.Monitor('m', shadow=lambda f: threading.Event().wait(), shadow_rate=1.0)
        m.record({'x': 1}, 1)
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
    )
    assert [row.get("shadow", "without") for row in server.rows()] == ["without"], output
    assert "Traceback" not in output


def test_a_table_is_cut_row_by_row() -> None:
    table = Table(["a", "b", "c"], [1, 2, 3], {"x": [1, 2, 3]}, {"t": ["u", "v", None]}, [0.1, 0.2, 0.3], [0, 1, 0])
    part = table.where([True, False, True])
    assert part == Table(["a", "c"], [1, 3], {"x": [1, 3]}, {"t": ["u", None]}, [0.1, 0.3], [0, 0])
