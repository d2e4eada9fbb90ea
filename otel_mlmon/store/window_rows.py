"""Questions about stored predictions of one window that profiles cannot answer."""

from __future__ import annotations

from typing import Any

import duckdb

from otel_mlmon.store.catalog import StoredField
from otel_mlmon.store.database import quoted
from otel_mlmon.store.profiles import EVER
from otel_mlmon.store.rows import NEWEST_TRUTH
from otel_mlmon.values import Target
from otel_mlmon.wire.semconv import FIELD_PREDICTION

_STATE_NAMES = {"n": "null", ".": "absent", "x": "cut off by a limit", "o": "other type"}


def read_examples(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    fields: dict[str, StoredField],
    target: Target,
    start: int,
    end: int,
    limit: int,
) -> list[dict[str, Any]]:
    """Read predictions with ids, trace ids and the value of the target's field ("" for none).

    For a field, cells without a value of the right type come first, then extreme values; for the model as a whole, the
    largest errors.
    """
    field = target.field
    stored = fields.get(field)
    prediction = fields.get(FIELD_PREDICTION)
    value = f"p.{quoted(stored.column)}::VARCHAR" if stored and stored.column else "NULL"
    state = f"substr(p._states, {stored.position + 1}, 1)" if stored else "''"
    shown = f"p.{quoted(prediction.column)}" if prediction and prediction.column else "NULL"
    order = _order(stored, prediction)
    condition, extra = _in_segment(fields, target.segment)
    inside = "_version = ? AND _time >= ? AND _time < ?"
    truth = NEWEST_TRUTH.format(ids=f"SELECT _id FROM {table} WHERE {inside}")
    window = (target.version, start, end)
    parameters: list[Any] = [field, *window, target.model, EVER, *window, *extra]
    rows = cursor.execute(
        f"SELECT p._id, p._time, p._trace_id, {value}, {state}, p._other[?], {shown}, "
        "coalesce(t.text, t.number::VARCHAR) "
        f"FROM (SELECT * FROM {table} WHERE {inside}) p LEFT JOIN ({truth}) t ON p._id = t.prediction_id WHERE "
        f"true{condition} "
        f"ORDER BY {order} LIMIT {int(limit)}",
        parameters,
    ).fetchall()
    return [
        {
            "prediction_id": id_,
            "time": time,
            "trace_id": trace_id or "",
            "value": other if letter == "o" else _STATE_NAMES.get(letter or ".", text) if field else "",
            "prediction": predicted,
            "ground_truth": truth,
        }
        for id_, time, trace_id, text, letter, other, predicted, truth in rows
    ]


def _order(stored: StoredField | None, prediction: StoredField | None) -> str:
    if stored is None:
        numeric = prediction is not None and prediction.type == "number"
        return (
            f"abs(p.{quoted(prediction.column)} - t.number) DESC NULLS LAST, p._id"
            if prediction and numeric
            else "p._id"
        )
    letter = f"substr(p._states, {stored.position + 1}, 1)"
    odd = f"({letter} NOT IN ('i', 'f', 's', 'b')) DESC"
    if not stored.column:
        return f"{odd}, p._id"
    if stored.type == "number":
        column = f"p.{quoted(stored.column)}"
        return f"{odd}, abs({column} - avg({column}) OVER ()) DESC NULLS LAST, p._id"
    return f"{odd}, count(*) OVER (PARTITION BY p.{quoted(stored.column)}), p._id"


def count_outside(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    fields: dict[str, StoredField],
    target: Target,
    start: int,
    end: int,
    low: float | None,
    high: float | None,
) -> int:
    """Count finite numbers of the target's field below `low` or above `high`; None is no bound."""
    stored = fields.get(target.field)
    if stored is None:
        return 0
    # `_other` has the numbers that the column cannot hold. Texts in it are quoted, so they are no numbers.
    own = f"p.{quoted(stored.column)}" if stored.type == "number" else "NULL"
    condition, extra = _in_segment(fields, target.segment)
    least, most = float("-inf") if low is None else low, float("inf") if high is None else high
    (count,) = cursor.execute(
        f"SELECT count(*) FROM (SELECT coalesce({own}, TRY_CAST(p._other[?] AS DOUBLE)) AS x FROM {table} p "
        f"WHERE p._version = ? AND p._time >= ? AND p._time < ?{condition}) WHERE isfinite(x) AND (x < ? OR x > ?)",
        [target.field, target.version, start, end, *extra, least, most],
    ).fetchall()[0]
    return int(count)


def _in_segment(fields: dict[str, StoredField], segment: str) -> tuple[str, list[Any]]:
    """SQL condition on the row alias `p`, with its parameters, for a segment "key=value"; "" for the whole."""
    if not segment:
        return "", []
    key, _, wanted = segment.partition("=")
    column = fields.get(key)
    given = "p._segments[?]"
    if column is None or not column.column:
        return f" AND {given} = ?", [key, wanted]
    name = f"p.{quoted(column.column)}"
    if column.type != "number":
        return f" AND coalesce({given}, {name}::VARCHAR) = ?", [key, wanted]
    try:
        number = float(wanted)
    except ValueError:
        return f" AND {given} = ?", [key, wanted]
    return f" AND CASE WHEN {given} IS NULL THEN {name} = ? ELSE {given} = ? END", [key, number, key, wanted]
