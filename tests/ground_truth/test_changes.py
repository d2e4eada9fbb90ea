"""Deployments, and the first sightings of versions, feature sets and origins."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from batches import SECOND, predictions

from otel_mlmon.store import Store, changes
from otel_mlmon.values import ChangeBatch, ChangeEvent, PredictionBatch

HOUR = 3600 * SECOND


def _batch(at: int, version: str = "1", service: str = "shop", release: str = "7", *features: str) -> PredictionBatch:
    made = predictions([dict.fromkeys(features or ("a", "b"), 1)], [1.0], ids=[str(at)], times=[at], version=version)
    return replace(made, origin={"service.name": service, "service.version": release})


def _seen(store: Store, start: int = 0) -> list[tuple[int, str, str, str]]:
    return [(c.time // HOUR, c.kind, c.value, c.text) for c in store.changes("m", start, 2**62, 100)]


def test_changes_are_noted_at_their_first_sighting_only(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    for hour in (1, 2):
        store.commit([_batch(hour * HOUR)], 0)
    assert [(hour, kind, value) for hour, kind, value, _ in _seen(store)] == [
        (1, "model_version", "1"),
        (1, "client", "shop"),
        (1, "service_version", "shop 7"),
        (1, "feature_set", '["a", "b"]'),
    ]
    store.close()
    store = Store(tmp_path / "s.duckdb")
    store.commit([_batch(3 * HOUR), _batch(4 * HOUR, "2")], 0)
    store.commit([_batch(5 * HOUR, "2", "app", "7")], 0)
    store.commit([_batch(6 * HOUR, "2", "app", "8")], 0)
    store.commit([_batch(7 * HOUR, "2", "app", "8", "b", "c")], 0)
    store.commit([_batch(8 * HOUR)], 0)
    assert _seen(store, 3 * HOUR) == [
        (4, "model_version", "2", "first prediction of version 2"),
        (5, "client", "app", "first prediction from app"),
        (5, "service_version", "app 7", "first prediction from app 7"),
        (6, "service_version", "app 8", "first prediction from app 8"),
        (7, "feature_set", '["b", "c"]', "new: c; gone: a"),
    ]


def test_outputs_are_no_features_and_a_failed_commit_is_no_sighting() -> None:
    store = Store(None)
    broken = predictions([{"x": 1}], ids=["p"])
    object.__setattr__(broken, "ids", None)
    try:
        store.commit([_batch(HOUR), broken], 0)
    except Exception:
        assert _seen(store) == []
    store.commit([_batch(2 * HOUR)], 0)
    assert {hour for hour, *_ in _seen(store)} == {2}
    assert [json.loads(value) for _, kind, value, _ in _seen(store) if kind == "feature_set"] == [["a", "b"]]


def test_ever_new_feature_sets_do_not_fill_the_store() -> None:
    store = Store(None)
    most, changes.MOST = changes.MOST, 5  # type: ignore[misc]
    try:
        for hour in range(1, 12):
            store.commit([_batch(hour * HOUR, "1", "shop", "7", f"f{hour}")], 0)
    finally:
        changes.MOST = most  # type: ignore[misc]
    assert sum(kind == "feature_set" for _, kind, *_ in _seen(store)) == 5


def test_deployments_are_stored_once_and_may_concern_all_models() -> None:
    store = Store(None)
    told = ChangeBatch(
        (
            ChangeEvent("m", "deployment", "2", 5 * HOUR, "new weights"),
            ChangeEvent("", "deployment", "shop 8", 6 * HOUR),
            ChangeEvent("other", "deployment", "3", 7 * HOUR),
        )
    )
    assert [(a.stored, a.duplicates) for _ in range(2) for a in store.commit([told], 0)] == [(3, 0), (0, 3)]
    assert _seen(store) == [(5, "deployment", "2", "new weights"), (6, "deployment", "shop 8", "")]
    assert [c.value for c in store.changes("m", 0, 2**62, 1)] == ["shop 8"], "the newest, where there are more"
    assert store.changes("m", 0, 5 * HOUR, 9) == []
