"""Stored predictions as they were sent, one by one."""

from __future__ import annotations

import json
from typing import Any

import duckdb

from otel_mlmon.store.catalog import StoredField
from otel_mlmon.store.database import quoted


def read_logged(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    fields: dict[str, StoredField],
    version: str | None,
    start: int,
    end: int,
    limit: int,
) -> list[dict[str, Any]]:
    """Read predictions in [start, end) ns by time; of more than `limit`, those that come first by a hash of their id.

    `version` None: any. `fields` maps names to the sent values: an int is an int, an absent field has no entry. Calls
    that ended in an error and rows that a size limit cut short are left out, since not all their features are known.
    """
    placed = {name: field for name, field in fields.items() if field.column}
    columns = "".join(f", {quoted(field.column)}" for field in placed.values())
    found = cursor.execute(
        f"SELECT _id, _time, _version, _trace_id, _states, _other{columns} FROM {table} WHERE _time >= ? AND _time < ? "
        "AND _lost = 0 AND _error_type IS NULL AND (? IS NULL OR _version = ?) ORDER BY hash(_id), _id LIMIT ?",
        [start, end, version, version, limit],
    ).fetchall()
    rows = []
    for id_, time, of, trace_id, letters, other, *cells in sorted(found, key=lambda row: (row[1], row[0])):
        held = dict(zip(placed, cells, strict=True))
        values = {
            name: _value(letters[field.position : field.position + 1], held.get(name), (other or {}).get(name))
            for name, field in fields.items()
            if letters[field.position : field.position + 1] not in ("", ".", "x")
        }
        rows.append({"id": id_, "time": time, "version": of, "trace_id": trace_id or "", "fields": values})
    return rows


def _value(letter: str, held: Any, other: str | None) -> Any:
    if letter == "o":
        return json.loads(other or "null")
    if letter == "i":
        return int(held)
    if letter == "f" and held is None:
        return float("nan")
    return None if letter == "n" else held
