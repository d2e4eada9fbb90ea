"""Committed once: duplicates, reopening, failure, and a killed process."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.errors import ConfigError, RejectedInput, StoreUnavailable
from otel_mlmon.store import Store
from otel_mlmon.values import Target
from otel_mlmon.values.history import TickRecord, VerdictRow
from otel_mlmon.values.query import RowQuery, WindowQuery

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


def test_two_versions_may_answer_the_same_request_and_one_ground_truth_is_of_both() -> None:
    store = Store(None)
    for _ in range(2):
        both = [predictions([{"x": 1}], ids=["a"], version=version) for version in ("champion", "challenger")]
        found = store.commit([*both, ground_truth(["a"], [1.0])], 0)
    assert [(a.stored, a.duplicates) for a in found] == [(0, 1)] * 3
    rows = store.rows.read(RowQuery("m", [(0, HOUR)]))
    assert rows is not None
    assert (sorted(rows.versions.labels), rows.truth_known.tolist()) == (["challenger", "champion"], [True, True])
    store.ground_truth.settle(store.seq())
    assert store.ground_truth.results()["m"]["joined"] == 1


def test_the_same_ground_truth_twice_is_a_duplicate_and_another_a_correction() -> None:
    store = Store(None)
    found = [store.commit([ground_truth(["a"], [value])], 0)[0].stored for value in (1.0, 1.0, 2.0)]
    assert found == [1, 0, 1]


def test_a_duplicate_is_known_by_its_id_as_far_as_the_margin_reaches() -> None:
    store = Store(None, dedup_margin_ns=HOUR)
    store.commit([predictions([{"x": 1}], ids=["a"], times=[10 * HOUR])], 0)
    stored = [
        store.commit([predictions([{"x": 2}], ids=["a"], times=[at])], 0)[0].stored
        for at in (10 * HOUR, 9 * HOUR, 11 * HOUR, 11 * HOUR + 1)
    ]
    assert stored == [0, 0, 0, 1]


def test_rows_that_the_sender_lost_are_told_once_however_often_the_batch_comes() -> None:
    store = Store(None)
    for _ in range(3):
        store.commit([predictions([{"x": 1}] * 2, dropped=5)], 0)
    assert _dropped(store) == {"v1": 5}
    store.commit([predictions([], dropped=2)], 7)  # a batch of nothing but the news
    assert _dropped(store) == {"v1": 7}


def _dropped(store: Store) -> dict[str, int]:
    dropped = store.outcomes.window_sums(WindowQuery("m", "training", 0, HOUR, known_by=0), [0]).dropped
    return {version: rows for _, version, rows in dropped}


def test_models_whose_names_differ_in_case_only_may_come_in_one_commit() -> None:
    store = Store(None)
    store.commit([predictions([{"x": n}], ids=[m], model=m) for n, m in enumerate(["Prices", "prices", "PRICES"])], 0)
    for n, model in enumerate(["Prices", "prices", "PRICES"]):
        rows = store.rows.read(RowQuery(model, [(0, HOUR)]))
        assert rows is not None
        assert rows.fields["x"].numbers.tolist() == [n]  # type: ignore[union-attr]


@pytest.mark.parametrize("ids", [None, pa.array([None], pa.string())])
def test_a_commit_with_an_impossible_batch_leaves_nothing_and_is_not_asked_for_again(ids: pa.Array | None) -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], ids=["a"])], 0)
    broken = predictions([{"x": 1}], ids=["b"])
    object.__setattr__(broken, "ids", ids)
    with pytest.raises((RejectedInput, TypeError)):
        store.commit([predictions([{"y": 1}], ids=["c"]), predictions([{"z": 1}], model="new"), broken], 0)
    assert (_ids(store), store.rows.models()) == (["a"], ["m"])
    store.commit([predictions([{"y": 1}], ids=["c"])], 0)
    assert _ids(store) == ["a", "c"]


_DISK_FULL = """
import resource, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from batches import predictions
from otel_mlmon.errors import StoreUnavailable
from otel_mlmon.store import Store
store = Store(Path({path!r}))
def commit(name):
    ids = [f"{{name}}-{{i}}" for i in range(2000)]
    return store.commit([predictions([{{"x": id_ * 9}} for id_ in ids], ids=ids)], 0)[0].stored
def rows():
    return store.query("SELECT count(*), count(DISTINCT _id) FROM predictions.m")[0]
assert commit("a") == 2000
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (store.size_bytes() + 20_000, hard))
for _ in range(2):
    try:
        commit("b")
    except StoreUnavailable as error:
        assert "commit failed" in str(error), error
    else:
        raise AssertionError("the disk was not full")
assert rows() == (2000, 2000), rows()
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert commit("b") == 2000
assert rows() == (4000, 4000), rows()
"""


def test_a_full_disk_is_a_temporary_failure_that_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    code = _DISK_FULL.format(tests=str(Path(__file__).parents[1]), path=str(path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = Store(path)
    assert store.query("SELECT count(*), count(DISTINCT _id) FROM predictions.m") == [(4000, 4000)]


def test_a_closed_store_is_a_temporary_failure() -> None:
    store = Store(None)
    store.close()
    with pytest.raises(StoreUnavailable):
        store.commit([predictions([{"x": 1}])], 0)


def test_two_processes_cannot_own_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    code = f"from pathlib import Path; from otel_mlmon.store import Store; Store(Path({str(tmp_path / 's.duckdb')!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert "ConfigError: cannot open the store" in last
    assert "lock" in last
    store.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.duckdb").write_text("not a database, but long enough to be looked at" * 100)
    with pytest.raises(ConfigError, match=r"s\.duckdb"):
        Store(tmp_path / "s.duckdb")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/s\.duckdb"):
        Store(tmp_path / "file" / "s.duckdb")


@pytest.mark.parametrize("stem", ["mlmon", "predictions", "mlmon_state", "main"])
def test_the_file_may_have_any_name(tmp_path: Path, stem: str) -> None:
    store = Store(tmp_path / f"{stem}.duckdb")
    store.commit([predictions([{"x": 1}], ids=["a"]), ground_truth(["a"], [1.0])], 0)
    rows = store.rows.read(RowQuery("m", [(0, 2**62)]))
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
    # Whoever got no answer sends again; commits are still numbered upwards.
    newest = store.seq()
    unsure = [f"{max(acknowledged) + more}-{i}" for more in (0, 1) for i in range(5)]
    store.commit([predictions([{"x": 1}] * 10, ids=unsure)], 0)
    again = _ids(store)
    assert len(again) == len(set(again))
    assert set(unsure) <= set(again)
    assert store.seq() == newest + 1


def test_retention_deletes_what_is_older_and_nothing_of_other_models() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}] * 3, times=[0, 10 * HOUR, 20 * HOUR], dropped=3)], 0)
    store.commit([predictions([{"x": 1}], times=[0], model="other")], 0)
    store.commit([ground_truth(["id-0", "id-2"], [1.0, 2.0], times=[HOUR, 21 * HOUR])], 0)
    assert store.delete_before("m", 15 * HOUR) == 2
    assert store.rows.span("m") == (20 * HOUR, 20 * HOUR, 1)
    assert store.rows.span("other") == (0, 0, 1)
    assert store.query("SELECT prediction_id FROM mlmon_state.ground_truth") == [("id-2",)]


def test_commits_are_numbered_upwards_even_after_everything_was_deleted(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    for number in range(5):
        store.commit([predictions([{"x": 1}], ids=[f"{number}"])], 0)
    store.profiles.set_progress("m", 5)
    store.delete_before("m", HOUR)
    store.close()
    store = Store(tmp_path / "s.duckdb")
    store.commit([predictions([{"x": 1}], ids=["new"])], 0)
    assert store.rows.panes_after("m", store.profiles.progress("m"), SECOND) == {0}


def test_readers_see_whole_commits_while_others_commit(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    store.commit([predictions([{"x": 0}] * 10, ids=[f"0-{i}" for i in range(10)])], 0)
    done, failures = threading.Event(), []

    def read() -> None:
        seen = 0
        try:
            while not done.is_set():
                rows = store.rows.read(RowQuery("m", [(0, HOUR)], ["x"]))
                assert rows is not None
                assert len(rows) % 10 == 0
                assert len(rows) >= seen
                seen = len(rows)
                assert store.rows.count_outside(Target("m", "v1", "", "x"), 0, HOUR, 0, 1000) == 0
        except BaseException as error:
            failures.append(error)

    def write(name: int) -> None:
        try:
            for number in range(15):  # each with a new field, so that the table changes as well
                ids = [f"{name}-{number}-{i}" for i in range(10)]
                store.commit([predictions([{"x": number, f"f{name}-{number}": 1}] * 10, ids=ids)], 0)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(name,)) for name in (1, 2)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert failures == []
    assert store.rows.span("m") == (0, 9 * SECOND, 310)
    assert store.seq() == 31
    assert store.query("SELECT count(DISTINCT _seq) FROM predictions.m") == [(31,)]


def test_retention_forgets_old_verdicts_of_the_alerts_that_are_named() -> None:
    store = Store(None)
    verdicts = [VerdictRow(alert, end, "ok", 0.0, None, end) for alert in ("a", "b") for end in (1, 2, 3)]
    store.documents.record_tick(TickRecord({}, (), verdicts, ()))
    store.documents.forget_history(["a"], 3)
    assert [[end for _, end, *_ in store.documents.verdicts(alert)] for alert in ("a", "b")] == [[3], [1, 2, 3]]
