"""What a value was, it stays: from the batch to the rows that profiles are made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from batches import ground_truth, predictions

from otel_mlmon.store import Store
from otel_mlmon.values import RowBlock

EVER = [(0, 2**62)]


def _rows(store: Store, *segments: str) -> RowBlock:
    found = store.rows("m", segments, EVER)
    assert found is not None
    return found


def _cell(rows: RowBlock, field: str, row: int) -> tuple[str, object]:
    """(letter, value) of one cell."""
    cells = rows.fields[field]
    other = dict(zip(cells.other_rows.tolist(), cells.other_texts, strict=True))
    if row in other:
        return "o", other[row]
    letter = chr(cells.states[row])
    if cells.texts is not None:
        code = cells.texts.codes[row]
        return letter, cells.texts.labels[code] if code >= 0 else None
    assert cells.numbers is not None
    return letter, float(cells.numbers[row])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, ("i", 1.0)),
        (1.0, ("f", 1.0)),
        ("1", ("o", '"1"')),
        (True, ("o", "true")),
        (2**53, ("i", float(2**53))),
        (2**53 + 1, ("o", str(2**53 + 1))),
        (2**70, ("o", str(2**70))),
        (math.inf, ("f", math.inf)),
        ([1, None], ("o", "[1,null]")),
        ({"a": "ä"}, ("o", '{"a":"ä"}')),
        ("", ("o", '""')),
    ],
)
def test_a_value_in_a_numeric_field_keeps_its_kind(value: object, expected: tuple[str, object]) -> None:
    store = Store(None)
    store.commit([predictions([{"x": 0.5}, {"x": 0.25}, {"x": value}], times=[1, 2, 3])], 0)
    rows = _rows(store)
    assert _cell(rows, "x", int(np.flatnonzero(rows.times == 3)[0])) == expected


def test_null_absent_and_nan_are_three_things() -> None:
    store = Store(None)
    store.commit([predictions([{"x": None, "y": 1}, {"y": 1}, {"x": math.nan, "y": 1}], times=[1, 2, 3])], 0)
    rows = _rows(store)
    order = np.argsort(rows.times)
    assert [chr(rows.fields["x"].states[i]) for i in order] == ["n", ".", "f"]


def test_a_field_that_comes_later_was_absent_before() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], ids=["a"], times=[1])], 0)
    store.commit([predictions([{"x": 1, "new": "text"}], ids=["b"], times=[2])], 0)
    rows = _rows(store)
    letters = {int(t): chr(s) for t, s in zip(rows.times, rows.fields["new"].states, strict=True)}
    assert letters == {1: ".", 2: "s"}


def test_cells_that_a_limit_cut_off_are_lost_not_null_or_absent() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.0, "y": None}, {"x": 2.0}], lost=[1, 0], times=[1, 2])], 0)
    rows = _rows(store)
    letters = {int(t): chr(s) for t, s in zip(rows.times, rows.fields["y"].states, strict=True)}
    assert letters == {1: "x", 2: "."}
    assert rows.lost.sum() == 1


@pytest.mark.parametrize("name", ["select", 'say "hi"', "_id", "", "Age", "a.b", "Größe", "x" * 300])
def test_any_name_can_be_a_field(name: str) -> None:
    store = Store(None)
    store.commit([predictions([{name: 1.5, "age": 2.5}], times=[1])], 0)
    store.commit([predictions([{name: 3.5, "age": 4.5}], ids=["b"], times=[2])], 0)
    rows = _rows(store)
    assert sorted(rows.fields[name].numbers.tolist()) == [1.5, 3.5]  # type: ignore[union-attr]
    assert sorted(rows.fields["age"].numbers.tolist()) == [2.5, 4.5]  # type: ignore[union-attr]


def test_the_newest_ground_truth_wins_and_unknown_ids_wait() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], [5.0], ids=["a"], times=[1])], 0)
    store.commit([ground_truth(["a", "later"], [6.0, 7.0])], 0)
    store.commit([ground_truth(["a"], [6.5], times=[2])], 0)
    store.commit([predictions([{"x": 1}], [5.0], ids=["later"], times=[2])], 0)
    rows = _rows(store)
    assert dict(zip(rows.times.tolist(), rows.truth_numbers.tolist(), strict=True)) == {1: 6.5, 2: 7.0}


def test_segments_come_from_the_application_or_from_a_feature() -> None:
    store = Store(None)
    batch = predictions(
        [{"town": "a", "rooms": 3}, {"town": "b", "rooms": 4}], segments={"client": ["web", None]}, times=[1, 2]
    )
    store.commit([batch], 0)
    rows = _rows(store, "town", "client", "rooms", "nothing")
    named = {key: sorted(texts.labels) for key, texts in rows.segments.items()}
    assert named == {"town": ["a", "b"], "client": ["web"], "rooms": ["3", "4"], "nothing": []}
    assert (rows.segments["client"].codes == -1).sum() == 1
