"""Ground truth by values of features reaches every prediction with these values, in either order."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.errors import StoreUnavailable
from otel_mlmon.ingest.decode.assemble import field_column
from otel_mlmon.store import Store
from otel_mlmon.values import GroundTruthBatch
from otel_mlmon.values.query import RowQuery
from otel_mlmon.wire.columns import column

DAY = 86_400 * SECOND


def keyed(values: list[Any], *, times: list[int] | None = None, **keys: list[Any]) -> GroundTruthBatch:
    n = len(values)
    return GroundTruthBatch(
        "m",
        pa.array([""] * n, pa.string()),
        pa.array(times or [SECOND] * n, pa.int64()),
        field_column(column(values)),
        {name: field_column(column(cells)) for name, cells in keys.items()},
    )


def _known(store: Store) -> dict[str, Any]:
    """Return the valid ground truth by id, as the store joins it."""
    rows = store.rows.read(RowQuery("m", [(0, 2**62)]))
    assert rows is not None
    ids = [id_ for (id_,) in store.query("SELECT _id FROM predictions.m ORDER BY rowid")]
    order = [id_ for (id_,) in store.query("SELECT _id FROM predictions.m")]
    assert ids == order
    found = {}
    for i, id_ in enumerate(ids):
        if rows.truth_known[i]:
            found[id_] = rows.truth_texts.labels[rows.truth_texts.codes[i]]
    return found


def _outcomes(store: Store) -> dict[str, int]:
    store.ground_truth.settle(store.seq())
    return {outcome: n for outcome, n in store.ground_truth.results().get("m", {}).items() if n}


@pytest.mark.parametrize("first", ["predictions", "ground truth", "one commit"])
def test_prediction_and_ground_truth_join_in_either_order(first: str) -> None:
    store = Store(None)
    made = predictions(
        [
            {"customer": 1, "day": "a"},
            {"customer": 1, "day": "b"},
            {"customer": 2, "day": "a"},
            {"customer": 1, "day": "a"},
        ],
        ids=["p", "q", "r", "s"],
    )
    told = keyed(["yes", "no"], customer=[1, 3], day=["a", "a"])
    commits = {"predictions": [[made], [told]], "ground truth": [[told], [made]], "one commit": [[told, made]]}
    for batches in commits[first]:
        store.commit(batches, 0)
    assert _known(store) == {"p": "yes", "s": "yes"}
    early = {"early": 2} if first == "ground truth" else {}
    assert _outcomes(store) == {"joined": 2, "waiting": 1, **early}


# (value of the prediction, value of the key, whether they match)
CELLS: list[tuple[Any, Any, bool]] = [
    (1, 1, True),
    (1, 1.0, True),
    (1.0, 1, True),
    (1, "1", True),
    ("1", 1, True),
    ("1.0", 1, False),
    ("1", "1.0", False),
    (0.1, 0.1, True),
    (0.1, "0.1", True),
    (-0.0, 0, True),
    (1e300, 1e300, True),
    (0.1 + 0.2, 0.3, False),
    (True, True, True),
    (True, "true", True),
    (True, 1, False),
    (" a", "a", False),
    ("ü:1", "ü:1", True),
    ("", "", True),
    (2**60 + 1, 2**60 + 1, True),
    (2**60 + 1, 2**60, False),
    (2**70, 2**70, True),
    (2**60, str(2**60), True),
    ("a'b\"c", "a'b\"c", True),
    ([1, "a"], '[1,"a"]', True),
    (None, "null", False),
    (float("nan"), "nan", True),
]


@pytest.mark.parametrize("late", [False, True], ids=["after the predictions", "before them"])
@pytest.mark.parametrize(
    "other", [None, 7, "text", False], ids=["alone", "among numbers", "among texts", "among bools"]
)
def test_values_are_compared_as_canonical_texts_across_columns(other: Any, late: bool) -> None:
    store = Store(None)
    store.commit([predictions([{f"x{i}": other for i in range(len(CELLS))}], ids=["other"])], 0)
    commits = [
        [predictions([{f"x{i}": cell}], ids=[str(i)]) for i, (cell, _, _) in enumerate(CELLS)],
        [keyed([5], **{f"x{i}": [named]}) for i, (_, named, _) in enumerate(CELLS)],
    ]
    for batches in reversed(commits) if late else commits:
        store.commit(batches, 0)
    assert _known(store).keys() == {str(i) for i, (_, _, same) in enumerate(CELLS) if same}


def test_keys_with_equal_joined_texts_stay_apart() -> None:
    store = Store(None)
    store.commit([predictions([{"a": "1", "b": "23"}, {"a": "12", "b": "3"}], ids=["p", "q"])], 0)
    store.commit([keyed(["x"], a=["12"], b=["3"])], 0)
    assert _known(store) == {"q": "x"}


def test_last_ground_truth_holds_and_the_history_is_kept() -> None:
    store = Store(None)
    store.commit([keyed(["old"], x=[1]), keyed(["first"], x=[2])], 0)
    store.commit([ground_truth(["p"], ["own"])], 0)  # later than the key, but before the prediction
    store.commit([keyed(["newer"], times=[2 * SECOND], x=[2])], 0)
    store.commit([predictions([{"x": 1}, {"x": 2}], ids=["p", "q"])], 0)
    assert _known(store) == {"p": "own", "q": "newer"}
    store.commit([keyed(["corrected", None], times=[3 * SECOND] * 2, x=[1, 2])], 0)
    assert _known(store) == {"p": "corrected"}
    assert [text for (text,) in store.query("SELECT text FROM mlmon_state.keyed_ground_truth ORDER BY rowid")] == [
        "old",
        "first",
        "newer",
        "corrected",
        None,
    ]
    store.commit([predictions([{"x": 1}, {"x": 2}], ids=["later", "gone"])], 0)
    assert _known(store) == {"p": "corrected", "later": "corrected"}


def test_the_same_keys_time_and_value_again_are_a_duplicate() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], ids=["p"])], 0)
    stored = [(a.stored, a.duplicates) for _ in range(2) for a in store.commit([keyed([5, 5, 6], x=[1, 1, 1])], 0)]
    assert stored == [(2, 1), (0, 3)]
    assert store.query("SELECT count(*) FROM mlmon_state.ground_truth") == [(2,)]
    assert _outcomes(store) == {"joined": 1, "correction": 1, "duplicate": 4}


def test_keys_reach_only_predictions_within_the_horizon() -> None:
    store = Store(None, ground_truth_horizon_ns=10 * DAY)
    times = [100 * DAY + offset * DAY for offset in (-11, -10, 0, 10, 11)]
    early, late = (
        predictions([{"x": 1}] * 5, ids=[f"{name}{i}" for i in range(5)], times=times) for name in ("early", "late")
    )
    for batch in (early, keyed(["yes"], times=[100 * DAY], x=[1]), late):
        store.commit([batch], 0)
    assert sorted(_known(store)) == ["early1", "early2", "early3", "late1", "late2", "late3"]


def test_a_feature_that_no_prediction_has_had_waits_and_a_restart_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    store.commit([predictions([{"y": 1}], ids=["p"])], 0)
    store.commit([keyed(["yes"], x=[1])], 0)
    assert _outcomes(store) == {"waiting": 1}
    store.close()
    store = Store(tmp_path / "s.duckdb")
    store.commit([predictions([{"x": 1}], ids=["q"])], 0)
    assert _known(store) == {"q": "yes"}
    assert _outcomes(store) == {"joined": 1, "early": 1}


def test_a_commit_that_fails_leaves_no_keys_behind() -> None:
    store = Store(None)
    broken = predictions([{"x": 1}], ids=["p"])
    object.__setattr__(broken, "ids", None)
    with pytest.raises((TypeError, StoreUnavailable)):
        store.commit([keyed(["yes"], x=[1]), broken], 0)
    store.commit([predictions([{"x": 1}], ids=["p"])], 0)
    assert (_known(store), _outcomes(store)) == ({}, {})


def test_any_order_of_commits_joins_like_a_plain_search() -> None:
    rng = random.Random(0)
    for _ in range(6):
        store = Store(None, ground_truth_horizon_ns=5 * DAY)
        features: dict[str, tuple[Any, Any, int]] = {}
        told: list[tuple[int, Any, Any, str]] = []
        for commit in range(12):
            n = rng.randrange(1, 6)
            cells = [(rng.choice([1, 2.0, "3", "a"]), rng.choice([1, "b", None])) for _ in range(n)]
            times = [rng.randrange(1, 20) * DAY for _ in range(n)]
            if rng.random() < 0.5:
                ids = [f"{commit}-{i}" for i in range(n)]
                rows = [{"x": x, "y": y} for x, y in cells]
                store.commit([predictions(rows, ids=ids, times=times)], 0)
                features.update({i: (*cell, t) for i, cell, t in zip(ids, cells, times, strict=True)})
            else:
                named = [(x, y, t) for (x, y), t in zip(cells, times, strict=True) if y is not None]
                values = [f"{commit}.{i}" for i in range(len(named))]
                if named:
                    xs, ys, ts = (list(part) for part in zip(*named, strict=True))
                    store.commit([keyed(values, times=ts, x=xs, y=ys)], 0)
                    told += [(t, x, y, v) for (x, y, t), v in zip(named, values, strict=True)]
        expected = {}
        for id_, (x, y, time) in features.items():
            for at, tx, ty, value in told:  # the last one wins
                if (str(int(x)) if isinstance(x, float) else str(x)) == (
                    str(int(tx)) if isinstance(tx, float) else str(tx)
                ) and (str(y) == str(ty) and abs(at - time) <= 5 * DAY):
                    expected[id_] = value
        if features:
            assert _known(store) == expected
            outcomes = _outcomes(store)
            assert outcomes.get("joined", 0) == len(expected)
