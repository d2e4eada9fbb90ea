"""Each tick once, in order, over restarts, reloads and late data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from batches import SECOND, predictions

from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.engine.tick import Engine
from otel_mlmon.errors import RuleFileError
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.rulefile import parse_text
from otel_mlmon.server import scheduler as scheduling
from otel_mlmon.server.rule_files import RuleFiles
from otel_mlmon.server.scheduler import Scheduler
from otel_mlmon.store import Store
from otel_mlmon.values import Alert
from otel_mlmon.window import Windows

MINUTE = 60 * SECOND
RULES = """
groups:
  - name: g
    model: "m*"
    interval: 1m
    window: 2m
    rules: [{alert: Missing, integrity: missing, above: 10%, min_rows: 5, features: [x]}]
"""


class Processor:
    """Store to alerts, on a clock of its own."""

    def __init__(self, store: Store, rules: str = RULES) -> None:
        self.store = store
        self.clocks = ModelClocks(ahead_ns=MINUTE)
        self.windows = Windows(store, lambda *_: None, pane_ns=10 * SECOND)
        self.engine = Engine(
            self.windows,
            lambda *_: None,
            store.documents,
            lambda *_: 0,
            lambda *_: (0, 0),
            aggregate=lambda *_: [],
            ground_truth_horizon_ns=10 * MINUTE,
        )
        self.ticks: list[tuple[str, int]] = []
        self.changed: list[Alert] = []
        tick = self.engine.tick

        def noted(groups: Any, model: str, time: int) -> Sequence[Alert]:
            self.ticks.append((model, time // MINUTE))
            return tick(groups, model, time)

        self.engine.tick = noted  # type: ignore[method-assign, assignment]
        self.scheduler = Scheduler(
            store,
            self.windows,
            self.engine,
            self.clocks,
            list,
            Counters(),
            self.changed.extend,
            lateness_ns=10 * SECOND,
            horizon_ns=10 * MINUTE,
        )
        self.scheduler.load(parse_text(rules).groups)

    def send(
        self, minute: float, n: int = 12, *, model: str = "m", bad: bool = False, now: float | None = None
    ) -> None:
        times = [int((minute + i / n) * MINUTE) for i in range(n)]
        ids = [f"{model}-{minute}-{i}" for i in range(n)]
        batch = predictions([{"y": 1.0} if bad else {"x": 1.0, "y": 1.0}] * n, ids=ids, times=times, model=model)
        self.store.commit([batch], int((now or minute + 1) * MINUTE))
        self.windows.touch(model, batch.times.to_numpy())
        self.clocks.observe(model, max(times), int((now or minute + 1) * MINUTE))

    def run(self, minute: float) -> None:
        self.scheduler.run(int(minute * MINUTE))


def test_each_tick_once_and_in_order_over_a_restart() -> None:
    store = Store(None)
    first = Processor(store)
    first.send(0)
    first.send(1)
    first.run(2.5)
    first.run(2.6)
    assert first.ticks == [("m", 1), ("m", 2)]
    second = Processor(store)
    second.send(2)
    second.send(3)
    second.run(4.5)
    assert second.ticks == [("m", 3), ("m", 4)]


def test_silence_goes_on_being_judged() -> None:
    processor = Processor(Store(None))
    processor.send(0)
    processor.run(5.5)
    assert [minute for _, minute in processor.ticks] == [1, 2, 3, 4, 5]
    (alert,) = processor.engine.alerts()
    assert (alert.verdict.result.status, alert.verdict.result.reason) == ("no_data", "no_values")


def test_every_model_that_the_glob_covers_has_its_own_clock() -> None:
    processor = Processor(Store(None))
    processor.send(0, model="m1")
    processor.send(100, model="m2")
    processor.send(100, model="other")
    processor.run(101.5)
    assert {model for model, _ in processor.ticks} == {"m1", "m2"}


def test_late_data_makes_the_next_tick_right() -> None:
    processor = Processor(Store(None))
    processor.send(0)
    processor.run(1.5)
    processor.send(0.5, n=100, bad=True, now=1.6)
    processor.run(2.5)
    assert [a.state.phase for a in processor.engine.alerts()] == ["firing"]


def test_after_a_long_gap_the_oldest_ticks_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "MAX_CATCH_UP", 5)
    processor = Processor(Store(None))
    processor.send(0)
    processor.send(1000)
    processor.run(1001.5)
    assert [minute for _, minute in processor.ticks] == [997, 998, 999, 1000, 1001]


def test_rules_that_are_gone_end_their_alerts() -> None:
    processor = Processor(Store(None))
    processor.send(0)
    processor.send(1, n=100, bad=True)
    processor.run(2.5)
    assert [a.state.phase for a in processor.changed] == ["firing"]
    processor.scheduler.load([])
    assert [a.state.phase for a in processor.changed] == ["firing", "inactive"]
    assert processor.changed[-1].state.resolved_at
    assert processor.engine.alerts() == []


def test_a_reload_is_all_or_nothing(tmp_path: Path) -> None:
    adopted: list[int] = []
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    files = RuleFiles([path], lambda groups: adopted.append(len(groups)))
    files.load()
    assert not files.changed()
    path.write_text(RULES + "\n  - name: other\n    modle: m\n")
    assert files.changed()
    assert files.reload() is False
    assert (adopted, files.ok) == ([1], False)
    assert not files.changed(), "the same mistake is told once"
    path.write_text(RULES.replace("name: g", "name: h"))
    assert files.reload() is True
    assert (adopted, files.ok) == ([1, 1], True)


def test_a_start_with_bad_rules_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("groups: 5")
    with pytest.raises(RuleFileError, match=r"rules\.yaml:1:9"):
        RuleFiles([path], lambda groups: None).load()
