"""Profiles are counts that add up, whatever the order in which rows came."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from batches import SECOND, ground_truth, predictions
from sklearn import metrics

from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.stats.metrics.classification import accuracy, f1
from otel_mlmon.stats.metrics.regression import mae, mape, r2, rmse
from otel_mlmon.store import Store
from otel_mlmon.values import Reference, WindowProfile
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows

EVER = 10**6 * SECOND


def _reference(frame: pd.DataFrame, **columns: Any) -> Reference:
    where = Columns(**columns)
    rows = rows_of(Path("frame"), pa.Table.from_pandas(frame, preserve_index=False), where, "m", "")
    return create_reference(rows, name="training", version="", segments=where.segments, source="", created="")


def _windows(store: Store, reference: Reference | None = None, segments: tuple[str, ...] = ()) -> Windows:
    windows = Windows(store, lambda *_: reference, pane_ns=10 * SECOND)
    windows.plan("m", Plan({"training": segments}), "plan", 0)
    return windows


def _read(
    windows: Windows, start: int = 0, end: int = EVER, segments: tuple[str, ...] = ()
) -> dict[str, WindowProfile]:
    found = windows.window(WindowQuery("m", "training", start, end, segments, EVER))
    return {window.segment: window for window in found}


def _random_rows(rng: random.Random, n: int) -> list[dict[str, Any]]:
    kinds: list[Any] = [1, 2.5, -3.0, "text", True, None, math.nan, math.inf, "", [1], {"a": 1}, 2**70]
    rows = []
    for _ in range(n):
        row = {"mixed": rng.choice(kinds), "number": rng.gauss(0, 1), "town": rng.choice(["a", "b", "new"])}
        if rng.random() < 0.2:
            del row["mixed"]
        rows.append(row)
    return rows


@pytest.mark.parametrize("seed", range(3))
def test_a_window_has_the_counts_of_its_rows_in_whatever_pieces_they_came(seed: int) -> None:
    rng = random.Random(seed)
    rows = _random_rows(rng, 400)
    reference = _reference(pd.DataFrame({"number": [rng.gauss(0, 1) for _ in range(500)], "town": ["a", "b"] * 250}))
    store, windows = Store(None), None
    order = list(range(400))
    rng.shuffle(order)
    windows = _windows(store, reference, ("town",))
    for first in range(0, 400, 70):
        part = order[first : first + 70]
        store.commit(
            [predictions([rows[i] for i in part], ids=[f"{i}" for i in part], times=[i * SECOND for i in part])], 0
        )
        windows.touch("m", np.array(part) * SECOND)
        windows.close("m", rng.randrange(EVER))  # now and then, in the middle of things
    windows.close("m", EVER)
    whole = _read(windows, segments=("town",))
    mixed = whole[""].fields["mixed"]
    present = [row["mixed"] for row in rows if "mixed" in row]
    numbers = [v for v in present if type(v) in (int, float)]
    assert whole[""].rows == 400
    assert mixed.absent == 400 - len(present)
    assert mixed.null == sum(v is None for v in present)
    assert mixed.nan == sum(v != v for v in numbers)
    assert mixed.infinite == sum(v == math.inf for v in numbers)
    names = {int: "int", float: "float", str: "string", bool: "bool", list: "array", dict: "map"}
    assert mixed.types == dict(Counter(names[type(v)] for v in present if v is not None))
    values = np.array([row["number"] for row in rows])
    number = whole[""].fields["number"]
    assert number.sum == pytest.approx(values.sum(), rel=1e-12)
    assert (number.minimum, number.maximum) == (values.min(), values.max())
    edges = np.array(reference.fields["number"].edges)
    inner, _ = np.histogram(values, edges)
    assert number.bins is not None
    assert number.bins.tolist() == [int((values < edges[0]).sum()), *inner.tolist(), int((values > edges[-1]).sum())]
    assert whole[""].fields["town"].new == {"new": sum(row["town"] == "new" for row in rows)}
    # Segments add up to the whole, and so do panes.
    parts = [whole[f"town={name}"] for name in ("a", "b", "new")]
    assert sum(part.fields["number"].bins for part in parts).tolist() == number.bins.tolist()  # type: ignore[misc, union-attr]
    halves = [_read(windows, 0, 200 * SECOND)[""], _read(windows, 200 * SECOND, EVER)[""]]
    assert [half.rows for half in halves] == [200, 200]
    assert sum(half.fields["number"].bins for half in halves).tolist() == number.bins.tolist()  # type: ignore[misc, union-attr]


def test_a_late_row_redoes_its_pane_and_no_other() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.0}] * 30)], 0)
    windows = _windows(store)
    assert windows.close("m", EVER) == 3
    store.commit([predictions([{"x": 2.0}], ids=["late"], times=[5 * SECOND])], 0)
    windows.touch("m", np.array([5 * SECOND]))
    assert windows.close("m", EVER) == 1
    assert _read(windows)[""].fields["x"].top_values == {"1": 30, "2": 1}


def test_an_open_pane_waits() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.0}] * 30)], 0)
    windows = _windows(store)
    assert windows.close("m", 25 * SECOND) == 2
    assert _read(windows)[""].rows == 20


def test_what_was_not_profiled_before_a_crash_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    store = Store(path)
    store.commit([predictions([{"x": 1.0}] * 30, [1.0] * 30)], 0)
    windows = _windows(store)
    windows.close("m", 15 * SECOND)
    store.commit([ground_truth(["id-0", "id-29"], [2.0, 3.0])], 0)
    store.close()
    store = Store(path)
    windows = _windows(store)
    windows.close("m", EVER)
    whole = _read(windows)[""]
    assert (whole.rows, whole.performance.with_truth, whole.performance.sum_error) == (30, 2, -3.0)


def test_another_reference_redoes_the_panes() -> None:
    store = Store(None)
    store.commit([predictions([{"x": float(i)} for i in range(30)])], 0)
    windows = _windows(store)
    windows.close("m", EVER)
    reference = _reference(pd.DataFrame({"x": np.arange(100.0)}))
    fresh = Windows(store, lambda *_: reference, pane_ns=10 * SECOND)
    fresh.plan("m", Plan({"training": ()}), "another plan", 0)
    assert fresh.close("m", EVER) == 3
    bins = _read(fresh)[""].fields["x"].bins
    assert bins is not None
    assert bins.sum() == 30


@pytest.mark.parametrize("rows", [1, 30])
@pytest.mark.parametrize("value", ["absent", None, math.nan, "", math.inf])
def test_a_field_without_any_usable_value_has_a_profile_all_the_same(rows: int, value: Any) -> None:
    store = Store(None)
    given = [{"x": 1.0} if value == "absent" else {"x": 1.0, "empty": value} for _ in range(rows)]
    store.commit([predictions(given)], 0)
    windows = _windows(store, _reference(pd.DataFrame({"x": [1.0, 2.0], "empty": [0.5, 0.7]})))
    windows.close("m", EVER)
    profile = _read(windows)[""].fields["empty"]
    assert profile.rows == rows
    assert profile.numbers == 0
    assert math.isnan(profile.minimum)


def test_regression_sums_give_what_scikit_learn_gives_as_ground_truth_arrives() -> None:
    rng = random.Random(1)
    truth = [rng.gauss(100, 20) for _ in range(300)]
    predicted = [t + rng.gauss(1, 5) for t in truth]
    store = Store(None)
    store.commit([predictions([{"x": 1.0}] * 300, predicted)], 0)
    windows = _windows(store)
    ids = [f"id-{i}" for i in range(300)]
    for upto in (40, 150, 300):
        store.commit([ground_truth(ids[:upto], truth[:upto])], 0)
        windows.touch_ground_truth("m")
        windows.close("m", EVER)
        counts = _read(windows)[""].performance
        y, p = truth[:upto], predicted[:upto]
        assert counts.with_truth == upto
        assert rmse(counts).value == pytest.approx(metrics.root_mean_squared_error(y, p), rel=1e-9)
        assert mae(counts).value == pytest.approx(metrics.mean_absolute_error(y, p), rel=1e-9)
        assert mape(counts).value == pytest.approx(metrics.mean_absolute_percentage_error(y, p), rel=1e-9)
        assert r2(counts).value == pytest.approx(metrics.r2_score(y, p), rel=1e-9)


def test_classes_of_any_kind_give_what_scikit_learn_gives() -> None:
    rng = random.Random(2)
    for classes in (["cat", "dog"], [0, 1], [True, False]):
        truth = [rng.choice(classes) for _ in range(200)]
        predicted = [t if rng.random() < 0.8 else rng.choice(classes) for t in truth]
        store = Store(None)
        store.commit([predictions([{"x": 1.0}] * 200, predicted)], 0)
        store.commit([ground_truth([f"id-{i}" for i in range(200)], truth)], 0)
        reference = _reference(
            pd.DataFrame({"x": [1.0] * 200, "p": predicted, "y": truth}), prediction="p", ground_truth="y"
        )
        windows = _windows(store, reference)
        windows.close("m", EVER)
        confusion = _read(windows)[""].performance.confusion
        assert accuracy(confusion) == pytest.approx(metrics.accuracy_score(truth, predicted), rel=1e-9)
        assert f1(confusion) == pytest.approx(metrics.f1_score(truth, predicted, average="macro"), rel=1e-9)
        assert reference.performance is not None
        assert reference.performance.confusion == confusion


def test_a_window_can_be_seen_as_it_was_known_at_a_time() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.0}] * 20, [1.0] * 20)], 0)
    store.commit([ground_truth(["id-0", "id-1"], [2.0, 2.0], times=[100 * SECOND, 500 * SECOND])], 0)
    windows = _windows(store)
    windows.close("m", EVER)
    known = [
        windows.window(WindowQuery("m", "training", 0, EVER, (), at * SECOND))[0].performance.with_truth
        for at in (50, 110, 490, 510)
    ]
    assert known == [0, 1, 1, 2]


def test_rows_that_the_sender_lost_are_told() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.0}] * 10, lost=[1] * 2 + [0] * 8, dropped=5)], 0)
    windows = _windows(store)
    windows.close("m", EVER)
    assert _read(windows)[""].lost_rows == 7


def test_the_constants_of_the_reference_are_counted_however_many_values_there_are() -> None:
    reference = _reference(pd.DataFrame({"x": [-1.0] * 20 + [float(i) for i in range(180)]}))
    store = Store(None)
    store.commit([predictions([{"x": float(i)} for i in range(200)] + [{"x": -1.0}], times=[0] * 201)], 0)
    windows = _windows(store, reference)
    windows.close("m", EVER)
    assert _read(windows)[""].fields["x"].top_values["-1"] == 1
