"""Values keep their type through buffer, columns and Arrow."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from otel_mlmon import Monitor
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import json_type

Make = Callable[..., Monitor]


class Colour(enum.StrEnum):
    RED = "red"


def seen(table: pa.Table, row: int, column: str) -> tuple[str, Any]:
    """Return (kind, value) of a cell as a receiver reads it."""
    cells = {name: table[name][row].as_py() for name in table.column_names}
    if column not in cells or cells.get(f"{semconv.COLUMN_ABSENT_PREFIX}{column}"):
        return "absent", None
    other = cells.get(f"{semconv.COLUMN_OTHER_PREFIX}{column}")
    if other is not None:
        return json_type(other), other
    if cells[column] is None:
        return "null", None
    return str(table.schema.field(column).type), cells[column]


CELLS = [
    (1, ("int64", 1)),
    (1.0, ("double", 1.0)),
    ("1", ("string", "1")),
    (True, ("bool", True)),
    (None, ("null", None)),
    (2**70, ("int", str(2**70))),
    (np.float64(2.5), ("double", 2.5)),
    (np.float32(2.5), ("double", 2.5)),
    (np.int8(3), ("int64", 3)),
    (np.bool_(True), ("bool", True)),
    (np.str_("a"), ("string", "a")),
    (pd.NA, ("null", None)),
    (pd.NaT, ("null", None)),
    (Colour.RED, ("string", "red")),
    ([1, 2], ("array", "[1,2]")),
    ({"a": None}, ("map", '{"a":null}')),
    ("", ("string", "")),
    ("a\ud800", ("string", "a\\ud800")),
]


@pytest.mark.parametrize(("value", "expected"), CELLS, ids=[repr(value) for value, _ in CELLS])
def test_a_value_alone_keeps_its_type(make_monitor: Make, emitted: Any, value: Any, expected: Any) -> None:
    monitor = make_monitor()
    monitor.record({"x": value}, 1.0)
    assert monitor.flush()
    assert seen(emitted.tables()[0], 0, "feature.x") == expected


def test_types_of_a_mixed_column_stay_apart(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    for value in (1, 1, 1.0, "1", True, None, math.nan, 2**70):
        monitor.record({"x": value}, 0.5)
    monitor.record({}, 0.5)
    monitor.flush()
    (table,) = emitted.tables()
    assert [seen(table, row, "feature.x")[0] for row in range(9)] == [
        "int64",
        "int64",
        "float",
        "string",
        "bool",
        "null",
        "float",
        "int",
        "absent",
    ]
    assert [seen(table, row, "feature.x")[1] for row in (2, 3, 4, 6)] == ["1.0", '"1"', "true", "NaN"]


def test_nan_is_no_null_in_a_float_column(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    for features in ({"x": math.nan}, {"x": None}, {}, {"x": math.inf}, {"x": 0.5}):
        monitor.record(features, 0.5)
    monitor.flush()
    table = emitted.tables()[0]
    assert table.schema.field("feature.x").type == pa.float64()
    kinds = [seen(table, row, "feature.x") for row in range(5)]
    assert math.isnan(kinds[0][1])
    assert kinds[1:] == [("null", None), ("absent", None), ("double", math.inf), ("double", 0.5)]


def test_companion_columns_exist_only_if_needed(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    monitor.record({"x": 1, "y": 2}, 0.5)
    monitor.record({"x": None, "y": 3}, 0.5)
    monitor.flush()
    assert emitted.tables()[0].column_names == [
        "prediction_id",
        "time_unix_nano",
        "duration",
        "trace_id",
        "span_id",
        "error_type",
        "lost",
        "prediction",
        "feature.x",
        "feature.y",
    ]


def test_types_of_the_fixed_columns(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor(segments=["region"])
    monitor.record({"region": 7}, "cat", id="p1", timestamp=5, scores={"cat": 1, "dog": 0.0}, segments={"tier": "a"})
    monitor.ground_truth("p1", "dog", timestamp=1.5)
    monitor.flush()
    schema = {field.name: str(field.type) for field in emitted.tables()[0].schema}
    assert schema == {
        "prediction_id": "string",
        "time_unix_nano": "int64",
        "duration": "double",
        "trace_id": "string",
        "span_id": "string",
        "error_type": "string",
        "lost": "int32",
        "segment.region": "string",
        "segment.tier": "string",
        "prediction": "string",
        "feature.region": "int64",
        "score.cat": "double",
        "score.dog": "double",
    }
    row = emitted.rows()[0]
    assert (row["prediction_id"], row["time_unix_nano"], row["segment.region"], row["score.cat"]) == ("p1", 5, "7", 1.0)
    assert emitted.rows(semconv.EVENT_GROUND_TRUTH_BATCH) == [
        {"prediction_id": "p1", "time_unix_nano": 1_500_000_000, "ground_truth": "dog"}
    ]


def test_score_that_is_no_number_goes_to_the_companion_column(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    monitor.record({}, "cat", scores={"cat": "high"})
    monitor.record({}, "cat")
    monitor.flush()
    table = emitted.tables()[0]
    assert table.schema.field("score.cat").type == pa.float64()
    assert [seen(table, row, "score.cat") for row in (0, 1)] == [("string", '"high"'), ("absent", None)]


FRAME = pd.DataFrame(
    {"i": [1, 2], "f": [0.5, math.nan], "s": ["x", None], "n": pd.array([1, None], dtype="Int64"), "b": [True, False]}
)


@dataclass
class Table:
    """Stands for any table that offers only the Arrow capsule."""

    table: pa.Table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


ARROW = pa.table({"i": [1, 2], "f": [0.5, math.nan], "s": ["x", None], "n": [1, None], "b": [True, False]})
BATCHES: dict[str, Any] = {
    "a pandas data frame": FRAME,
    "an Arrow table": ARROW,
    "an Arrow record batch": ARROW.to_batches()[0],
    "anything with the Arrow capsule": Table(ARROW),
    "a list of dicts": ARROW.to_pylist(),
    "a dict of columns": ARROW.to_pydict(),
    "a dict of arrays": {name: FRAME[name] for name in FRAME},
}


@pytest.mark.parametrize("data", BATCHES.values(), ids=BATCHES.keys())
def test_every_kind_of_table_arrives_the_same(make_monitor: Make, emitted: Any, data: Any) -> None:
    monitor = make_monitor(segments=["s"])
    ids = monitor.record_batch(data, np.array([[1.5], [2.5]]), timestamps=[1, 2], segments={"t": "z", "u": ["p", "q"]})
    monitor.flush()
    table = emitted.tables()[0]
    rows = emitted.rows()
    assert [row["prediction_id"] for row in rows] == ids
    assert [row["time_unix_nano"] for row in rows] == [1, 2]
    assert [row["prediction"] for row in rows] == [1.5, 2.5]
    assert [(row["segment.s"], row["segment.t"], row["segment.u"]) for row in rows] == [
        ("x", "z", "p"),
        (None, "z", "q"),
    ]
    assert [seen(table, 0, f"feature.{name}")[1] for name in "ifsnb"] == [1, 0.5, "x", 1, True]
    assert math.isnan(seen(table, 1, "feature.f")[1])
    assert [seen(table, 1, f"feature.{name}")[0] for name in "isnb"] == ["int64", "null", "null", "bool"]


def test_a_numpy_batch_with_probabilities(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    when = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[D]")
    monitor.record_batch(
        np.array([[1, 2], [3, 4]]),
        np.array(["a", "b"]),
        feature_names=["x", "y"],
        timestamps=when,
        ids=np.array([7, 8]),
        scores=np.array([[0.9, 0.1], [0.2, 0.8]]),
    )
    monitor.flush()
    row = emitted.rows()[1]
    assert (row["feature.y"], row["prediction"], row["score.1"], row["prediction_id"]) == (4, "b", 0.8, "8")
    assert row["time_unix_nano"] == pd.Timestamp("2026-01-02").value


def test_a_prediction_that_was_never_made_is_absent_not_null(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    monitor.record_batch([{"x": 1}])
    monitor.flush()
    assert seen(emitted.tables()[0], 0, "prediction") == ("absent", None)


def test_redaction_keeps_missing_values_visible(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor(features=["zip", "age"], hash_features=["zip"], hash_key=b"k")
    for zipcode in ("1010", "1010", None, math.nan):
        monitor.record({"zip": zipcode, "age": 3, "name": "Jane"}, 1.0)
    monitor.record({"age": 3}, 1.0)
    monitor.flush()
    table = emitted.tables()[0]
    assert "feature.name" not in table.column_names
    cells = [seen(table, row, "feature.zip") for row in range(5)]
    assert cells[0] == cells[1] != ("string", "1010")
    assert cells[0][0] == "string"
    assert [kind for kind, _ in cells[2:]] == ["null", "float", "absent"]


def test_features_are_copied_when_they_are_recorded(make_monitor: Make, emitted: Any) -> None:
    monitor = make_monitor()
    features = {"x": 1}
    with monitor.prediction(features) as call:
        features["x"] = 2
        call.value = 1.0
    frame = pd.DataFrame({"x": [1]})
    with monitor.prediction(frame) as call:
        frame.loc[0, "x"] = 2
        call.value = [1.0]
    monitor.flush()
    assert [row["feature.x"] for row in emitted.rows()] == [1, 1]
