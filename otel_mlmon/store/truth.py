"""Ground truth as the store keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.store import states
from otel_mlmon.store.database import registered
from otel_mlmon.values import FieldColumn, GroundTruthBatch
from otel_mlmon.values.storage import Appended
from otel_mlmon.wire.columns import is_nan, json_text, number_text


def plain_values(column: FieldColumn) -> list[Any]:
    """A column's values, with those of other types."""
    values: list[Any] = column.values.to_pylist()
    if column.other is None:
        return values
    others = column.other.to_pylist()
    return [
        v if v is not None or o is None else json.loads(states.canonical(o))
        for v, o in zip(values, others, strict=True)
    ]


def truth_columns(column: FieldColumn) -> dict[str, pa.Array]:
    """Ground truth as numbers where possible, and as names of classes; both null for null and NaN."""
    truths = [_truth(value) for value in plain_values(column)]
    return {
        "number": pa.array([number for number, _ in truths], pa.float64()),
        "text": pa.array([text for _, text in truths], pa.string()),
    }


def constant(value: int, n: int) -> pa.Array:
    """The same number in each row."""
    return pa.array(np.full(n, value, dtype=np.int64))


def append_ground_truth(
    cursor: duckdb.DuckDBPyConnection, batch: GroundTruthBatch, *, seq: int, received: int
) -> Appended:
    """Append ground truths by prediction id in the caller's transaction."""
    return append_truths(cursor, "ground_truth", batch, {}, ("prediction_id", batch.ids), seq=seq, received=received)


def append_truths(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    batch: GroundTruthBatch,
    about: Mapping[str, str],
    key: tuple[str, pa.Array],
    *,
    seq: int,
    received: int,
) -> Appended:
    """Append ground truths to `table` by the column `key`. Columns that are the same in all rows are in `about`.

    The same key, time and value again is a duplicate, another value a correction. A null or NaN takes a ground truth
    back. The last row of a key in the batch holds.
    """
    if not (n := len(batch)):
        return Appended(batch.model, 0, 0)
    same, (name, keys) = {"model": batch.model, **about}, key
    incoming = pa.table(
        {
            **{column: pa.array([text] * n, pa.string()) for column, text in same.items()},
            name: keys,
            "time": batch.times,
            "received": constant(received, n),
            **truth_columns(batch.values),
            "seq": constant(seq, n),
            "place": pa.array(np.arange(n)),
        }
    )
    where = "".join(f"{column} = ${column} AND " for column in same)
    with registered(cursor, incoming):
        (stored,) = cursor.execute(
            f"INSERT INTO mlmon_state.{table} SELECT * EXCLUDE (place) FROM (SELECT * FROM fresh QUALIFY "
            f"row_number() OVER (PARTITION BY {name}, time, text ORDER BY place DESC) = 1) fresh ANTI JOIN "
            f"(SELECT * FROM mlmon_state.{table} WHERE {where}time BETWEEN $first AND $last) known "
            f"ON fresh.{name} = known.{name} AND fresh.time = known.time "
            "AND fresh.text IS NOT DISTINCT FROM known.text ORDER BY fresh.place",
            {**same, "first": pc.min(batch.times).as_py(), "last": pc.max(batch.times).as_py()},
        ).fetchall()[0]
    return Appended(batch.model, stored, n - stored)


def _truth(value: Any) -> tuple[float | None, str | None]:
    """Return (number, name); 1 and 1.0 are the same class."""
    if value is None or is_nan(value):
        return None, None
    if isinstance(value, str):
        return None, value
    if isinstance(value, (int, float)):
        return float(value), json_text(value) if isinstance(value, bool) else number_text(value)
    return None, json_text(value)
