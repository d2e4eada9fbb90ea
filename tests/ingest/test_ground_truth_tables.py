"""A table decodes equally in each format, and a bad row is rejected alone."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from otel_mlmon.errors import RejectedInput
from otel_mlmon.ingest.decode import ground_truth_table
from otel_mlmon.ingest.decode.ground_truth_table import Format
from otel_mlmon.store.truth import plain_values
from otel_mlmon.values import Decoded, GroundTruthBatch, GroundTruthLayout

NOW = 1_800_000_000_000_000_000
NEW_YEAR = 1_767_225_600_000_000_000  # 2026-01-01
ROWS = [
    {"prediction_id": "007", "ground_truth": 1.5, "at": "2026-01-01T00:00:00Z"},
    {"prediction_id": "a,b", "ground_truth": None, "at": "2026-01-01T00:00:00Z"},
    {"prediction_id": "c", "ground_truth": -3.0, "at": "2026-01-01T00:00:00Z"},
]


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _jsonl(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _read(body: bytes, form: Format, **layout: Any) -> Decoded:
    return ground_truth_table(body, form, GroundTruthLayout(**{"model": "m", **layout}), received_ns=NOW)


def _rows(found: Decoded) -> list[tuple[Any, ...]]:
    """(id, time, value, keys) of all rows."""
    rows = []
    for batch in found.batches:
        assert isinstance(batch, GroundTruthBatch)
        keys = {name: plain_values(column) for name, column in batch.keys.items()}
        for i, (id_, time, value) in enumerate(
            zip(batch.ids.to_pylist(), batch.times.to_pylist(), plain_values(batch.values), strict=True)
        ):
            rows.append((id_, time, value, {name: column[i] for name, column in keys.items()}))
    return rows


BODIES: dict[Format, bytes] = {
    "jsonl": _jsonl(ROWS),
    "csv": b"prediction_id,at,ground_truth\r\n"
    b'007,2026-01-01T00:00:00Z,1.5\r\n"a,b",2026-01-01,\r\nc,1767225600,-3.0\r\n',
    "arrow": _arrow(pa.Table.from_pylist(ROWS)),
    "parquet": _parquet(
        pa.table(
            {
                "prediction_id": pa.array(["007", "a,b", "c"]).dictionary_encode(),
                "ground_truth": pa.array([Decimal("1.5"), None, Decimal(-3)], pa.decimal128(5, 2)),
                "at": pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("ns", "UTC")),
            }
        )
    ),
}


@pytest.mark.parametrize("form", BODIES)
def test_the_same_table_in_each_format(form: Format) -> None:
    found = _read(BODIES[form], form, time="at")
    assert _rows(found) == [("007", NEW_YEAR, 1.5, {}), ("a,b", NEW_YEAR, None, {}), ("c", NEW_YEAR, -3, {})]
    assert not found.rejected


@pytest.mark.parametrize("form", BODIES)
def test_rows_without_a_time_get_the_time_of_the_request(form: Format) -> None:
    assert {time for _, time, *_ in _rows(_read(BODIES[form], form))} == {NOW}
    assert {time for _, time, *_ in _rows(_read(BODIES[form], form, known_at=5))} == {5}


def test_each_csv_cell_is_parsed_by_itself() -> None:
    cells = ["1", "1.0", "-0.5", "1e3", "007", "true", "False", "cheap", "1 2", "99999999999999999999", "NaN", ""]
    body = "prediction_id,ground_truth\n" + "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
    values = [value for _, _, value, _ in _rows(_read(body.encode(), "csv"))]
    expected = [1, 1.0, -0.5, 1000.0, "007", True, False, "cheap", "1 2", "99999999999999999999", None, None]
    assert values == expected
    assert [type(v) for v in values] == [type(v) for v in expected]


def test_keys_and_models_come_from_columns() -> None:
    body = b"model,who,day,y\nm1,42,2026-01-02,1\nm2,x,2026-01-02,0\n"
    found = _read(body, "csv", model="", value="y", keys=(("customer", "who"), ("day", "day")))
    assert [batch.model for batch in found.batches] == ["m1", "m2"]  # type: ignore[union-attr]
    assert [(id_, keys) for id_, _, _, keys in _rows(found)] == [
        ("", {"customer": 42, "day": "2026-01-02"}),
        ("", {"customer": "x", "day": "2026-01-02"}),
    ]
    days = pa.table({"day": [date(2026, 1, 2)], "ground_truth": [1]})
    assert _rows(_read(_arrow(days), "arrow", keys=(("day", "day"),)))[0][3] == {"day": "2026-01-02"}


BAD_ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no id": ({"ground_truth": 1}, "no_prediction_id", "'prediction_id' is not there"),
    "an empty id": ({"prediction_id": "", "ground_truth": 1}, "no_prediction_id", '""'),
    "a nested value": ({"prediction_id": "x", "ground_truth": [1]}, "bad_value", "[1]; allowed are a number"),
    "no value": ({"prediction_id": "x"}, "bad_value", "'ground_truth' is not there"),
    "no time": ({"prediction_id": "x", "ground_truth": 1}, "bad_time", "'at' is not there"),
    "a date that looks like a number": (
        {"prediction_id": "x", "ground_truth": 1, "at": 20260102},
        "bad_time",
        "ISO 8601",
    ),
    "a time that is none": ({"prediction_id": "x", "ground_truth": 1, "at": "soon"}, "bad_time", '"soon"'),
}


@pytest.mark.parametrize(("row", "reason", "said"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_rejected_with_its_number_and_the_rest_is_taken(
    row: dict[str, Any], reason: str, said: str
) -> None:
    found = _read(_jsonl([ROWS[0], row, ROWS[2]]), "jsonl", time="at", first_row=101)
    assert [id_ for id_, *_ in _rows(found)] == ["007", "c"]
    assert found.rejected == {reason: 1}
    assert found.message.startswith("row 102: ")
    assert said in found.message


def test_broken_lines_are_rejected_one_by_one() -> None:
    found = _read(b'\n{"prediction_id": 1, "ground_truth": 1}\nnonsense\n[1]\n', "jsonl")
    assert ([id_ for id_, *_ in _rows(found)], found.rejected) == (["1"], {"bad_value": 2})
    assert found.message.startswith("row 2: no JSON")
    found = _read(b"prediction_id,ground_truth\n1,1\nx\n2,2\n3,3,3\n,4\n", "csv")
    assert [id_ for id_, *_ in _rows(found)] == ["1", "2"]
    assert found.rejected == {"bad_value": 2, "no_prediction_id": 1}
    assert found.message == "row 2: found 1 cells; the header has 2"


def test_a_key_without_a_value_is_rejected() -> None:
    found = _read(b"customer,ground_truth\n,1\n2,1\n", "csv", keys=(("customer", "customer"),))
    assert (len(_rows(found)), found.rejected) == (1, {"no_key": 1})


def test_ids_of_a_column_with_gaps_are_whole_numbers_again() -> None:
    found = _read(_arrow(pa.table({"prediction_id": [1.0, None, 3.0], "ground_truth": [1, 2, 3]})), "arrow")
    assert ([id_ for id_, *_ in _rows(found)], found.rejected) == (["1", "3"], {"no_prediction_id": 1})


BAD_TABLES: dict[str, tuple[bytes, Format, dict[str, Any], str]] = {
    "another column": (b"id,y\n1,2\n", "csv", {}, "no column 'prediction_id'; found 'id', 'y'; name the column"),
    "no model": (b"prediction_id,ground_truth\n1,2\n", "csv", {"model": ""}, "no column 'model'"),
    "a column that comes twice": (b"prediction_id,ground_truth,ground_truth\n1,2,3\n", "csv", {}, "twice"),
    "an empty file": (b"", "csv", {}, "not CSV"),
    "no Parquet": (b"PAR1 or so", "parquet", {}, "no Parquet"),
    "no Arrow": (b"\xff\xff\xff\xff", "arrow", {}, "no Arrow"),
    "cut Arrow": (BODIES["arrow"][:-200], "arrow", {}, "no Arrow"),
    "Parquet without the column": (
        BODIES["parquet"],
        "parquet",
        {"value": "y"},
        "no column 'y'; found 'prediction_id'",
    ),
    "no UTF-8": (b'{"a": "\xff"}', "jsonl", {}, "UTF-8"),
}


@pytest.mark.parametrize(("body", "form", "layout", "said"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_bad_table_is_refused_as_a_whole(body: bytes, form: Format, layout: dict[str, Any], said: str) -> None:
    with pytest.raises(RejectedInput, match=said):
        _read(body, form, **layout)
