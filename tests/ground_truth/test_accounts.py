"""Every ground truth has a result: joined, waiting, correction, duplicate, wrong type, withdrawn, expired."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.server.ground_truth_accounts import GroundTruthAccounts
from otel_mlmon.store import Store
from otel_mlmon.values.query import RowQuery


def _outcomes(store: Store, model: str = "m") -> dict[str, int]:
    store.ground_truth.settle(store.seq())
    return {outcome: n for outcome, n in store.ground_truth.results().get(model, {}).items() if n}


def _known(store: Store) -> int:
    rows = store.rows.read(RowQuery("m", [(0, 2**62)]))
    assert rows is not None
    return int(rows.truth_known.sum())


def test_early_ground_truth_waits_and_is_joined_with_its_prediction(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    store.commit([ground_truth(["a", "b", "never"], [1.0, 2.0, 3.0])], 0)
    assert _outcomes(store) == {"waiting": 3}
    store.close()
    store = Store(tmp_path / "s.duckdb")
    store.commit([predictions([{"x": 1}] * 2, [1.0, 1.0], ids=["a", "b"])], 0)
    assert _known(store) == 2
    assert _outcomes(store) == {"joined": 2, "early": 2, "waiting": 1}
    store.commit([predictions([{"x": 1}], [1.0], ids=["c"]), ground_truth(["c"], [1.0])], 0)
    assert _outcomes(store) == {"joined": 3, "early": 2, "waiting": 1}
    store.close()
    assert _outcomes(Store(tmp_path / "s.duckdb")) == {"joined": 3, "early": 2, "waiting": 1}


def test_corrections_duplicates_and_withdrawals() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}] * 3, [1.0] * 3, ids=["a", "b", "c"])], 0)
    store.commit([ground_truth(["a", "b", "b"], [1.0, 2.0, 3.0])], 0)
    assert _outcomes(store) == {"joined": 2, "correction": 1}
    store.commit([ground_truth(["a", "a"], [1.0, 5.0]), ground_truth(["b"], [None])], 0)
    assert _outcomes(store) == {"joined": 2, "correction": 2, "taken_back": 1, "duplicate": 1}
    assert _known(store) == 1
    store.commit([ground_truth(["c"], [float("nan")])], 0)
    store.commit([ground_truth(["c"], [4.0])], 0)
    assert _outcomes(store) == {"joined": 3, "correction": 2, "taken_back": 2, "duplicate": 1}


# (predictions, ground truth, number with the wrong type)
TYPES: list[tuple[Any, Any, bool]] = [
    (1.5, 2, False),
    (1.5, "2", True),
    (1.5, "cheap", True),
    (1.5, True, False),
    ("cheap", "dear", False),
    ("cheap", 2.0, True),
    ("cheap", True, True),
    ("0", 1, False),
    ("true", True, False),
    (True, False, False),
    (True, "no", True),
    (True, 1, True),
]


@pytest.mark.parametrize("late", [False, True], ids=["after the prediction", "before it"])
@pytest.mark.parametrize(("predicted", "truth", "wrong"), TYPES)
def test_ground_truth_that_cannot_be_compared_is_counted(predicted: Any, truth: Any, wrong: bool, late: bool) -> None:
    store = Store(None)
    commits = [[predictions([{"x": 1}], [predicted], ids=["a"])], [ground_truth(["a"], [truth])]]
    for batches in reversed(commits) if late else commits:
        store.commit(batches, 0)
        store.ground_truth.settle(store.seq())
    assert _outcomes(store).get("wrong_type", 0) == int(wrong)
    assert bool(GroundTruthAccounts(store).notes()) == wrong


def test_ground_truth_of_a_model_that_never_predicts_is_pointed_out() -> None:
    store = Store(None)
    store.commit([ground_truth(["a"], [1.0], model="pricse")], 0)
    accounts = GroundTruthAccounts(store)
    accounts.settle()
    assert accounts.notes() == ["model 'pricse' has ground truth and no predictions: is it another model's?"]


def test_ground_truth_that_retention_deletes_while_it_waits_is_counted() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], [1.0], ids=["a"], times=[50 * SECOND])], 0)
    store.commit([ground_truth(["never", "later"], [1.0, 1.0], times=[SECOND, 20 * SECOND])], 0)
    assert _outcomes(store) == {"waiting": 2}
    store.delete_before("m", 10 * SECOND)
    assert _outcomes(store) == {"waiting": 1, "expired": 1}


def test_sums_equal_a_plain_count_for_any_order_of_commits_and_reads() -> None:
    rng = random.Random(1)
    for _ in range(5):
        store = Store(None)
        known: dict[str, list[float]] = {}
        predicted: set[str] = set()
        early = duplicates = corrections = 0
        for _ in range(15):
            ids = [str(rng.randrange(12)) for _ in range(4)]
            if rng.random() < 0.5:
                fresh = sorted(set(ids) - predicted)
                early += sum(id_ in known for id_ in fresh)
                predicted.update(fresh)
                store.commit([predictions([{"x": 1}] * 4, [1.0] * 4, ids=ids)], 0)
            else:
                values = [float(rng.randrange(3)) for _ in ids]
                for id_, value in zip(ids, values, strict=True):
                    before = known.setdefault(id_, [])
                    corrections += bool(before) and value not in before
                    duplicates += value in before
                    if value not in before:
                        before.append(value)
                store.commit([ground_truth(ids, values)], 0)
            if rng.random() < 0.3:
                store.ground_truth.settle(store.seq())
        joined = len(known.keys() & predicted)
        expected = {
            "joined": joined,
            "waiting": len(known) - joined,
            "early": early,
            "correction": corrections,
            "duplicate": duplicates,
        }
        assert _outcomes(store) == {outcome: n for outcome, n in expected.items() if n}
