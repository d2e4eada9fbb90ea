"""Committed once: duplicates, reopening, failure, and a killed process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.errors import ConfigError, StoreUnavailable
from otel_mlmon.store import Store

HOUR = 3600 * SECOND


def _ids(store: Store) -> list[str]:
    return sorted(id_ for (id_,) in store.query("SELECT _id FROM predictions.m"))


def test_a_prediction_id_is_stored_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    rows = [{"x": 1}, {"x": 2}, {"x": 3}]
    (first,) = store.commit([predictions(rows, ids=["a", "b", "a"])], 0)
    assert (first.stored, first.duplicates) == (2, 1)
    again = store.commit([predictions(rows, ids=["a", "b", "c"]), predictions(rows, ids=["c", "d", "a"])], 0)
    assert [(a.stored, a.duplicates) for a in again] == [(1, 2), (1, 2)]
    store.close()
    reopened = Store(tmp_path / "s.duckdb")
    (late,) = reopened.commit([predictions(rows, ids=["a", "b", "c"], times=[HOUR // 2] * 3)], 0)
    assert (late.stored, late.duplicates) == (0, 3)
    assert _ids(reopened) == ["a", "b", "c", "d"]


def test_the_same_ground_truth_twice_is_a_duplicate_and_another_a_correction() -> None:
    store = Store(None)
    found = [store.commit([ground_truth(["a"], [value])], 0)[0].stored for value in (1.0, 1.0, 2.0)]
    assert found == [1, 0, 1]


def test_a_failed_commit_leaves_nothing() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], ids=["a"])], 0)
    broken = predictions([{"x": 1}], ids=["b"])
    object.__setattr__(broken, "ids", None)
    with pytest.raises(Exception):  # noqa: B017 - whatever it is, nothing may stay
        store.commit([predictions([{"y": 1}], ids=["c"]), broken], 0)
    assert _ids(store) == ["a"]
    store.commit([predictions([{"y": 1}], ids=["c"])], 0)
    assert _ids(store) == ["a", "c"]


def test_a_closed_store_is_a_temporary_failure() -> None:
    store = Store(None)
    store.close()
    with pytest.raises(StoreUnavailable):
        store.commit([predictions([{"x": 1}])], 0)


def test_two_processes_cannot_own_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    code = f"from pathlib import Path; from otel_mlmon.store import Store; Store(Path({str(tmp_path / 's.duckdb')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: cannot open the store" in done.stderr
    store.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.duckdb").write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match=r"s\.duckdb"):
        Store(tmp_path / "s.duckdb")


@pytest.mark.parametrize("stem", ["mlmon", "predictions", "mlmon_state", "main"])
def test_the_file_may_have_any_name(tmp_path: Path, stem: str) -> None:
    store = Store(tmp_path / f"{stem}.duckdb")
    store.commit([predictions([{"x": 1}], ids=["a"]), ground_truth(["a"], [1.0])], 0)
    rows = store.rows("m", [], [(0, 2**62)])
    assert rows is not None
    assert rows.truth_known.all()


_ENDLESS = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from batches import predictions
from otel_mlmon.store import Store
store = Store(Path({path!r}))
for number in range(100000):
    store.commit([predictions([{{"x": number}}] * 5, ids=[f"{{number}}-{{i}}" for i in range(5)])], 0)
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    code = _ENDLESS.format(tests=str(Path(__file__).parents[1]), path=str(path))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [int(process.stdout.readline()) for _ in range(60)]
        process.kill()
        acknowledged += [int(line) for line in process.stdout.read().split() if line.isdigit()]
    store = Store(path)
    ids = _ids(store)
    assert len(ids) == len(set(ids))
    assert {f"{number}-{i}" for number in acknowledged for i in range(5)} <= set(ids)


def test_retention_deletes_what_is_older(tmp_path: Path) -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}] * 3, times=[0, 10 * HOUR, 20 * HOUR])], 0)
    assert store.delete_before("m", 15 * HOUR) == 2
    assert store.span("m") == (20 * HOUR, 20 * HOUR, 1)
