"""What a report asks of the rows themselves: how many lie outside, and which ones to look at."""

from __future__ import annotations

import math

import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.store import Store
from otel_mlmon.values import Target
from otel_mlmon.values.query import RowQuery

ROWS = [
    {"x": 5.0, "town": "a", "zip": 1234567, "flag": True},
    {"x": -1, "town": "b", "zip": 1234568, "flag": False},
    {"x": 99.0, "town": "a", "zip": 1234567, "flag": False},
    {"x": math.nan, "town": "a", "zip": 1234567, "flag": False},
    {"x": math.inf, "town": "it's", "zip": 2, "flag": False},
    {"x": 2**70, "town": "a", "zip": 2.5, "flag": False},
    {"x": "7000", "town": "a", "zip": None, "flag": None},
    {"town": "b", "zip": 1234567},
]


@pytest.fixture
def store() -> Store:
    store = Store(None)
    given = [None] * 7 + ["given"]
    store.commit([predictions(ROWS, [1.0, 2.0, None, 4.0, 5.0, 6.0, 7.0, 8.0], segments={"zip": given})], 0)
    store.commit([predictions([{"x": 1000.0}], ids=["other"], version="v2")], 0)
    store.commit([ground_truth(["id-0", "id-1", "id-3"], [1.5, 102.0, 4.0])], 0)
    return store


@pytest.mark.parametrize(
    ("segment", "low", "high", "expected"),
    [
        ("", 0, 50, 3),  # -1, 99 and 2**70; neither NaN nor infinity nor the text
        ("", None, 50, 2),
        ("", 0, None, 1),
        ("", -1, 99, 1),
        ("town=a", 0, 50, 2),
        ("town=it's", 0, 50, 0),
        ("town=nowhere", 0, 50, 0),
        ("zip=1234567", 0, 50, 1),
        ("zip=1234568", 0, 50, 1),
        ("zip=2.5", 0, 50, 1),
        ("zip=given", None, -5, 0),
        ("flag=false", 0, 50, 3),
        ("unheard=of", 0, 50, 0),
    ],
)
def test_numbers_outside_a_range_are_counted(
    store: Store, segment: str, low: float | None, high: float | None, expected: int
) -> None:
    assert store.rows.count_outside(Target("m", "v1", segment, "x"), 0, 100 * SECOND, low, high) == expected


def test_only_the_window_the_version_and_the_field_asked_for_are_counted(store: Store) -> None:
    assert store.rows.count_outside(Target("m", "v1", "", "x"), 2 * SECOND, 5 * SECOND, 0, 50) == 1
    assert store.rows.count_outside(Target("m", "v2", "", "x"), 0, SECOND, 0, 50) == 1
    assert store.rows.count_outside(Target("m", "v1", "", "unheard"), 0, 100 * SECOND, 0, 50) == 0
    assert store.rows.count_outside(Target("unheard", "v1", "", "x"), 0, 100 * SECOND, 0, 50) == 0


def test_numbers_are_counted_though_the_field_began_as_text() -> None:
    store = Store(None)
    store.commit([predictions([{"x": "a"}, {"x": "b"}, {"x": 70}, {"x": "80"}])], 0)
    assert store.rows.count_outside(Target("m", "v1", "", "x"), 0, 100 * SECOND, 0, 50) == 1


def test_examples_of_a_field_begin_with_what_is_no_number_and_say_what_it_is(store: Store) -> None:
    examples = store.rows.examples(Target("m", "v1", "", "x"), 0, 100 * SECOND, 20)
    assert len(examples) == 8
    odd = {example["prediction_id"]: example["value"] for example in examples[:3]}
    assert odd == {"id-5": str(2**70), "id-6": '"7000"', "id-7": "absent"}
    shown = {example["prediction_id"]: example["value"] for example in examples}
    assert (shown["id-0"], shown["id-3"], shown["id-4"]) == ("5.0", "nan", "inf")


def test_examples_of_the_model_begin_with_the_largest_error(store: Store) -> None:
    first, second, *_ = store.rows.examples(Target("m", "v1", "", ""), 0, 100 * SECOND, 3)
    assert (first["prediction_id"], first["prediction"], first["ground_truth"]) == ("id-1", 2.0, "102")
    assert (second["prediction_id"], second["ground_truth"]) == ("id-0", "1.5")


@pytest.mark.parametrize(
    ("segment", "ids"),
    [
        ("town=a", ["id-0", "id-2", "id-3", "id-5", "id-6"]),
        ("town=it's", ["id-4"]),
        ("zip=1234567", ["id-0", "id-2", "id-3"]),
        ("zip=given", ["id-7"]),
        ("flag=true", ["id-0"]),
        ("no=such", []),
    ],
)
def test_examples_are_those_of_the_segment(store: Store, segment: str, ids: list[str]) -> None:
    found = store.rows.examples(Target("m", "v1", segment, ""), 0, 100 * SECOND, 20)
    assert sorted(example["prediction_id"] for example in found) == ids


def test_segments_in_rows_and_in_questions_about_rows_are_the_same(store: Store) -> None:
    rows = store.rows.read(RowQuery("m", [(0, 100 * SECOND)], ["zip", "town", "flag"]))
    assert rows is not None
    v1 = rows.versions.labels.index("v1")
    for key, texts in rows.segments.items():
        for code, label in enumerate(texts.labels):
            of_segment = int(((texts.codes == code) & (rows.versions.codes == v1)).sum())
            assert len(store.rows.examples(Target("m", "v1", f"{key}={label}", ""), 0, 100 * SECOND, 20)) == of_segment


def test_rows_that_must_have_a_field_are_those_with_whatever_value_of_it(store: Store) -> None:
    def ids(having: str | None) -> list[str]:
        found = store.rows.read(
            RowQuery("m", [(0, 100 * SECOND)], known_by=0, fields=["town"], with_ids=True, having=having)
        )
        assert found is not None and set(found.fields) == {"town"} and found.ids is not None
        return sorted(found.ids.to_pylist())

    everything = [*(f"id-{i}" for i in range(8)), "other"]
    assert ids(None) == everything
    assert ids("x") == [id_ for id_ in everything if id_ != "id-7"], "a text, a NaN and a huge number are there, too"
    assert ids("zip") == everything[:-1], "null is there; a row from before the field existed has none"
    assert ids("unheard") == []
