"""Which panes are redone: after late rows, new ground truth, failures, crashes and another reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.errors import StoreUnavailable
from otel_mlmon.store import Store
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows

PANE = 10 * SECOND
EVER = 10**6 * SECOND


def _unavailable(*_: Any, **__: Any) -> Any:
    raise StoreUnavailable("for a while")


def _windows(store: Store, fingerprint: str = "plan") -> Windows:
    windows = Windows(store, lambda *_: None, pane_ns=PANE)
    windows.plan("m", Plan({"training": ()}), fingerprint, 0)
    return windows


def _commit(store: Store, windows: Windows | None, seconds: Sequence[int], **given: Any) -> None:
    """Predictions of 1.0 at these seconds, one commit; the windows are told, if there are any."""
    times = [second * SECOND for second in seconds]
    ids = [f"{store.seq()}-{second}" for second in seconds]
    store.commit([predictions([{"x": 1.0}] * len(times), [1.0] * len(times), ids=ids, times=times, **given)], 0)
    if windows is not None:
        windows.touch("m", np.array(times))


def _state(windows: Windows) -> tuple[int, int, float]:
    (whole,) = windows.window(WindowQuery("m", "training", 0, EVER, (), EVER))
    return whole.rows, whole.performance.with_truth, whole.performance.sum_error


def test_a_start_redoes_what_is_new_and_not_the_history(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    for number in range(20):  # no ground truth ever
        _commit(store, windows, [number * 10])
        windows.close("m", number * 10 * SECOND)
    store.close()
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    assert windows.close("m", EVER) <= 2
    assert _state(windows)[0] == 20


def test_late_rows_that_were_committed_before_a_crash_are_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    _commit(store, windows, range(100))
    windows.close("m", 50 * SECOND)
    _commit(store, windows, [5, 95])
    _commit(store, None, [15])  # committed, and then the crash
    windows.close("m", 10 * SECOND)
    store.close()
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    windows.close("m", EVER)
    assert _state(windows)[0] == 103


@pytest.mark.parametrize("with_truth", [False, True])
def test_a_commit_that_windows_have_not_been_told_of_is_not_taken_for_done(tmp_path: Path, with_truth: bool) -> None:
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    _commit(store, windows, [1])
    if with_truth:
        store.commit([ground_truth(["0-1"], [3.0])], 0)
        windows.touch_ground_truth("m")
    _commit(store, None, [15])
    windows.close("m", EVER)  # between the commit of the last one and the word of it
    store.close()
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    windows.close("m", EVER)
    assert _state(windows)[:2] == (2, int(with_truth))


def test_ground_truth_that_windows_have_not_been_told_of_is_not_overlooked() -> None:
    store = Store(None)
    windows = _windows(store)
    _commit(store, windows, [1])
    store.commit([ground_truth(["0-1"], [3.0])], 0)
    windows.close("m", EVER)
    windows.touch_ground_truth("m")
    windows.close("m", EVER)
    assert _state(windows) == (1, 1, -2.0)


def test_a_changed_plan_is_carried_out_even_when_a_crash_comes_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    _commit(store, windows, range(30))
    _commit(store, windows, [100])
    windows.close("m", EVER)
    windows.plan("m", Plan({"another": ()}), "another plan", 0)
    store.close()
    store = Store(tmp_path / "s.duckdb")
    windows = Windows(store, lambda *_: None, pane_ns=PANE)
    windows.plan("m", Plan({"another": ()}), "another plan", 0)
    windows.close("m", EVER)
    (whole,) = windows.window(WindowQuery("m", "another", 0, EVER, (), EVER))
    assert whole.rows == 31


def test_the_same_plan_redoes_nothing() -> None:
    store = Store(None)
    windows = _windows(store)
    _commit(store, windows, range(30))
    assert windows.close("m", EVER) == 3
    windows.plan("m", Plan({"training": ()}), "plan", 0)
    assert windows.close("m", EVER) == 0


@pytest.mark.parametrize(("part", "operation"), [("rows", "read"), ("outcomes", "events"), ("outcomes", "append")])
def test_what_failed_is_done_the_next_time(part: str, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(None)
    windows = _windows(store)
    _commit(store, windows, [1, 11])
    windows.close("m", EVER)
    _commit(store, windows, [2])
    store.commit([ground_truth(["0-1", "0-11"], [3.0, 4.0])], 0)
    windows.touch_ground_truth("m")
    with monkeypatch.context() as failing:
        failing.setattr(getattr(store, part), operation, _unavailable)
        with pytest.raises(StoreUnavailable):
            windows.close("m", EVER)
    assert _state(windows)[1:] == (0, 0.0)
    windows.close("m", EVER)
    assert _state(windows) == (3, 2, -5.0)


def test_ground_truth_in_pieces_corrected_taken_back_and_ahead_of_its_prediction(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    windows = _windows(store)
    _commit(store, windows, [1, 11])
    steps = [
        (["0-1"], [3.0], (2, 1, -2.0)),
        (["0-11", "unheard of"], [4.0, 5.0], (2, 2, -5.0)),
        (["0-11"], [1.0], (2, 2, -2.0)),
        (["0-1"], [None], (2, 1, 0.0)),
        (["0-1"], [math.nan], (2, 1, 0.0)),
        (["5-21"], [9.0], (2, 1, 0.0)),
    ]
    for at, (ids, values, expected) in enumerate(steps):
        store.commit([ground_truth(ids, values, times=[at * SECOND] * len(ids))], 0)
        windows.touch_ground_truth("m")
        windows.close("m", EVER)
        assert _state(windows) == expected
    times = [21 * SECOND]
    store.commit([predictions([{"x": 1.0}], [1.0], ids=["5-21"], times=times)], 0)
    windows.touch("m", np.array(times))
    windows.close("m", EVER)
    assert _state(windows) == (3, 2, -8.0)
    store.close()
    windows = _windows(Store(tmp_path / "s.duckdb"))
    windows.close("m", EVER)
    assert _state(windows) == (3, 2, -8.0)


def test_versions_are_apart() -> None:
    store = Store(None)
    windows = _windows(store)
    _commit(store, windows, [1, 2, 3])
    _commit(store, windows, [1, 2], version="v2", dropped=4)
    windows.close("m", EVER)
    found = windows.window(WindowQuery("m", "training", 0, EVER, (), EVER))
    assert [(w.version, w.rows, w.lost_rows) for w in found] == [("v1", 3, 0), ("v2", 2, 4)]
