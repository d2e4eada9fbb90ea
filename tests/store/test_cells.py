"""What a value was, it stays: from the batch to the rows that profiles are made of."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from batches import ground_truth, predictions
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_mlmon.store import Store
from otel_mlmon.values import FieldColumn, RowBlock, Target
from otel_mlmon.values.query import RowQuery
from otel_mlmon.wire.columns import ABSENT

EVER = [(0, 2**62)]


def _rows(store: Store, *segments: str) -> RowBlock:
    found = store.rows.read(RowQuery("m", EVER, segments))
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


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63, 2**70]),
    st.floats(),
    st.text(),
)
_VALUES = st.one_of(
    st.just(ABSENT),
    _SCALARS,
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.booleans(), max_size=2),
)


def _value(rows: RowBlock, field: str, row: int) -> Any:
    """The Python value that a cell stands for."""
    letter, held = _cell(rows, field, row)
    if letter in "n.":
        return None if letter == "n" else ABSENT
    if letter == "o":
        return json.loads(str(held))
    if letter == "b":
        return {"true": True, "false": False}[str(held)]
    return int(held) if letter == "i" else held  # type: ignore[call-overload]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(_VALUES, min_size=1, max_size=6), min_size=1, max_size=3))
def test_any_values_in_any_order_come_back_as_what_they_were(batches: list[list[Any]]) -> None:
    store = Store(None)
    time, sent = 0, {}
    for values in batches:
        rows = [{"sure": 1} if value is ABSENT else {"sure": 1, "x": value} for value in values]
        times = list(range(time, time + len(rows)))
        store.commit([predictions(rows, ids=[f"{t}" for t in times], times=times)], 0)
        sent.update(zip(times, values, strict=True))
        time += len(rows)
    found = _rows(store)
    if "x" not in found.fields:
        assert set(map(id, sent.values())) == {id(ABSENT)}
        return
    for row, at in enumerate(found.times.tolist()):
        back = _value(found, "x", row)
        assert type(back) is type(sent[at])
        assert back == sent[at] or (math.isnan(back) and math.isnan(sent[at]))


def test_a_field_gets_its_column_with_its_first_value_not_with_nulls() -> None:
    store = Store(None)
    store.commit([predictions([{"town": None}], ids=["a"], times=[1])], 0)
    store.commit([predictions([{"town": "b"}], ids=["b"], times=[2])], 0)
    rows = _rows(store, "town")
    assert [_cell(rows, "town", i) for i in np.argsort(rows.times)] == [("n", None), ("s", "b")]
    assert rows.segments["town"].labels == ["b"]
    assert store.query("SELECT town FROM predictions.m ORDER BY _time") == [(None,), ("b",)]


def test_the_reference_says_which_column_a_field_gets() -> None:
    store = Store(None)
    store.expect_types("m", {"x": "number", "late": "string"})
    store.commit([predictions([{"x": "surprise", "late": None}], ids=["a"], times=[1])], 0)
    store.commit([predictions([{"x": 2.5, "late": 7}], ids=["b"], times=[2])], 0)
    rows = _rows(store)
    order = np.argsort(rows.times)
    assert [_cell(rows, "x", i) for i in order] == [("o", '"surprise"'), ("f", 2.5)]
    assert [_cell(rows, "late", i) for i in order] == [("n", None), ("o", "7")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc", '"abc"'),
        ('"half', '"\\"half"'),
        ('"\\u00e4"', '"ä"'),
        ("1e5", "100000.0"),
        ("[" * 5000, '"' + "[" * 5000 + '"'),
        ('"\\ud800"', '"?"'),
    ],
)
def test_what_is_no_json_in_the_companion_column_counts_as_text(sent: str, kept: str) -> None:
    batch = predictions([{"x": "a"}, {"x": 1}], times=[1, 2])
    odd = FieldColumn(batch.fields["x"].values, None, pa.array([None, sent], pa.string()))
    object.__setattr__(batch, "fields", {"x": odd})
    store = Store(None)
    store.commit([batch], 0)
    assert _rows(store).fields["x"].other_texts == [kept]


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


@pytest.mark.parametrize(
    "name", ["select", 'say "hi"', "_id", "", "Age", "a.b", "Größe", "x" * 300, "a\0b", "_prediction"]
)
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


def test_the_last_of_several_ground_truths_wins_within_a_batch_and_within_a_commit() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}] * 3, [5.0] * 3, ids=["a", "b", "c"], times=[1, 2, 3])], 0)
    earlier = ground_truth(["a", "a", "b", "c"], [1.0, 2.0, 1.0, 3.0], times=[9, 9, 9, 9])
    store.commit([earlier, ground_truth(["b", "c"], [4.0, None], times=[8, 9])], 0)
    rows = _rows(store)
    assert dict(zip(rows.times.tolist(), rows.truth_known.tolist(), strict=True)) == {1: True, 2: True, 3: False}
    assert dict(zip(rows.times[:].tolist(), rows.truth_numbers.tolist(), strict=True)) == pytest.approx(
        {1: 2.0, 2: 4.0, 3: math.nan}, nan_ok=True
    )
    shown = {
        example["prediction_id"]: example["ground_truth"]
        for example in store.rows.examples(Target("m", "v1", "", ""), 0, 9, 5)
    }
    assert shown == {"a": "2", "b": "4", "c": None}


@pytest.mark.parametrize(
    ("value", "number", "text"),
    [
        (1, 1.0, "1"),
        (1.0, 1.0, "1"),
        (0.5, 0.5, "0.5"),
        ("1", math.nan, "1"),
        ("a", math.nan, "a"),
        (True, 1.0, "true"),
        (2**70, float(2**70), "1.1805916207174113e+21"),
        (None, math.nan, None),
        (math.nan, math.nan, None),
    ],
)
@pytest.mark.parametrize("others", [["x", "y", "z"], [1.5, 2.5, 3.5], [True, False, True]])
def test_a_ground_truth_is_the_same_in_whatever_company_it_comes(
    value: object, number: float, text: str | None, others: list[Any]
) -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1}], [5.0], ids=["a"], times=[1])], 0)
    store.commit([ground_truth([*"bcd", "a"], [*others, value])], 0)
    rows = _rows(store)
    code = rows.truth_texts.codes[0]
    assert (rows.truth_texts.labels[code] if code >= 0 else None) == text
    assert rows.truth_numbers[0] == pytest.approx(number, nan_ok=True)
    assert rows.truth_known[0] == (text is not None)


def test_a_segment_does_not_depend_on_what_else_is_read() -> None:
    store = Store(None)
    store.commit([predictions([{"town": "a"}], ids=["1"], times=[1])], 0)
    store.commit([predictions([{"town": "b"}], ids=["2"], times=[2], segments={"town": ["given"]})], 0)
    for ranges in ([(0, 9)], [(0, 2)], [(2, 9)]):
        rows = store.rows.read(RowQuery("m", ranges, ["town"]))
        assert rows is not None
        for time, code in zip(rows.times.tolist(), rows.segments["town"].codes, strict=True):
            assert rows.segments["town"].labels[code] == {1: "a", 2: "given"}[time]


def test_long_numbers_are_segments_of_their_own() -> None:
    store = Store(None)
    store.commit([predictions([{"zip": 1234567}, {"zip": 1234568}, {"zip": 0.1}], times=[1, 2, 3])], 0)
    assert sorted(_rows(store, "zip").segments["zip"].labels) == ["0.1", "1234567", "1234568"]


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
