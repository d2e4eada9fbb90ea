"""Questions about stored predictions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from otel_mlmon.store.catalog import Catalog, ModelTable, StoredField
from otel_mlmon.store.database import Database, quoted
from otel_mlmon.store.profiles import EVER
from otel_mlmon.store.rows import NEWEST_TRUTH, read_rows
from otel_mlmon.values import RowBlock, Target
from otel_mlmon.values.query import RowQuery
from otel_mlmon.values.storage import Span
from otel_mlmon.wire.semconv import FIELD_PREDICTION

_T = TypeVar("_T")
_STATE_NAMES: Final = {"n": "null", ".": "absent", "x": "cut off by a limit", "o": "other type"}


class Predictions:
    """Predictions of all models. See `values.storage.RowStorage` for the methods."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def _ask(self, model: str, unknown: _T, ask: Callable[[ModelTable], _T]) -> _T:
        """Return the answer from the model's table, `unknown` where the model has none."""
        table = self._catalog.table(model)
        if table is None:
            return unknown
        with self._database.reading() as cursor:
            return ask(ModelTable(cursor, model, table, self._catalog.fields(model)))

    def models(self) -> list[str]:
        return self._catalog.models()

    def fields(self, model: str) -> list[str]:
        return list(self._catalog.fields(model))

    def read(self, query: RowQuery) -> RowBlock | None:
        return self._ask(query.model, None, lambda table: read_rows(table, query))

    def examples(self, target: Target, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        return self._ask(target.model, [], lambda table: _examples(table, target, start, end, limit))

    def count_outside(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int:
        return self._ask(target.model, 0, lambda table: _count_outside(table, target, start, end, low, high))

    def logged(self, model: str, version: str | None, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        return self._ask(model, [], lambda table: _logged(table, version, start, end, limit))

    def span(self, model: str) -> Span | None:
        return self._ask(model, None, _span)

    def newest_arrival(self, model: str, ahead_ns: int) -> tuple[int, int] | None:
        return self._ask(model, None, lambda table: _newest_arrival(table, ahead_ns))

    def panes_after(self, model: str, seq: int, pane_ns: int) -> set[int]:
        return self._ask(model, set(), lambda table: _panes_after(table, seq, pane_ns))


def _span(table: ModelTable) -> Span | None:
    span = f"SELECT min(_time), max(_time), count(*) FROM {table.name}"
    oldest, newest, n = table.cursor.execute(span).fetchall()[0]
    return Span(oldest, newest, n) if n else None


def _newest_arrival(table: ModelTable, ahead_ns: int) -> tuple[int, int] | None:
    lines = table.cursor.execute(
        f"SELECT time, received FROM (SELECT _time AS time, _received AS received FROM {table.name} UNION ALL "
        "SELECT time, received FROM mlmon_state.ground_truth WHERE model = ?) WHERE time <= received + ? "
        "ORDER BY time DESC, received LIMIT 1",
        [table.model, ahead_ns],
    ).fetchall()
    return (lines[0][0], lines[0][1]) if lines else None


def _panes_after(table: ModelTable, seq: int, pane_ns: int) -> set[int]:
    panes = f"SELECT DISTINCT _time // {int(pane_ns)} FROM {table.name} WHERE _seq > ?"
    return {pane * pane_ns for (pane,) in table.cursor.execute(panes, [seq]).fetchall()}


def _examples(table: ModelTable, target: Target, start: int, end: int, limit: int) -> list[dict[str, Any]]:
    """Read predictions with ids, trace ids and the value of the target's field ("" for none).

    For a field, cells without a value of the right type come first, then extreme values; for the model as a whole, the
    largest errors.
    """
    field = target.field
    stored = table.fields.get(field)
    prediction = table.fields.get(FIELD_PREDICTION)
    value = f"p.{quoted(stored.column)}::VARCHAR" if stored and stored.column else "NULL"
    state = f"substr(p._states, {stored.position + 1}, 1)" if stored else "''"
    shown = f"p.{quoted(prediction.column)}" if prediction and prediction.column else "NULL"
    order = _order(stored, prediction)
    condition, extra = _in_segment(table.fields, target.segment)
    inside = "_version = ? AND _time >= ? AND _time < ?"
    truth = NEWEST_TRUTH.format(ids=f"SELECT _id FROM {table.name} WHERE {inside}")
    window = (target.version, start, end)
    parameters: list[Any] = [field, *window, target.model, EVER, *window, *extra]
    rows = table.cursor.execute(
        f"SELECT p._id, p._time, p._trace_id, {value}, {state}, p._other[?], {shown}, "
        "coalesce(t.text, t.number::VARCHAR) "
        f"FROM (SELECT * FROM {table.name} WHERE {inside}) p LEFT JOIN ({truth}) t ON p._id = t.prediction_id "
        f"WHERE true{condition} ORDER BY {order} LIMIT {int(limit)}",
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


def _count_outside(
    table: ModelTable, target: Target, start: int, end: int, low: float | None, high: float | None
) -> int:
    """Count finite numbers of the target's field below `low` or above `high`; None is no bound."""
    stored = table.fields.get(target.field)
    if stored is None:
        return 0
    # `_other` has the numbers that the column cannot hold. Texts in it are quoted, so they are no numbers.
    own = f"p.{quoted(stored.column)}" if stored.type == "number" else "NULL"
    condition, extra = _in_segment(table.fields, target.segment)
    least, most = float("-inf") if low is None else low, float("inf") if high is None else high
    (count,) = table.cursor.execute(
        f"SELECT count(*) FROM (SELECT coalesce({own}, TRY_CAST(p._other[?] AS DOUBLE)) AS x FROM {table.name} p "
        f"WHERE p._version = ? AND p._time >= ? AND p._time < ?{condition}) WHERE isfinite(x) AND (x < ? OR x > ?)",
        [target.field, target.version, start, end, *extra, least, most],
    ).fetchall()[0]
    return int(count)


def _in_segment(fields: Mapping[str, StoredField], segment: str) -> tuple[str, list[Any]]:
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


def _logged(table: ModelTable, version: str | None, start: int, end: int, limit: int) -> list[dict[str, Any]]:
    """Read predictions in [start, end) ns by time; of more than `limit`, those that come first by a hash of their id.

    `version` None: any. `fields` maps names to the sent values: an int is an int, an absent field has no entry. Calls
    that ended in an error and rows that a size limit cut short are left out, since not all their features are known.
    """
    placed = {name: field for name, field in table.fields.items() if field.column}
    columns = "".join(f", {quoted(field.column)}" for field in placed.values())
    found = table.cursor.execute(
        f"SELECT _id, _time, _version, _trace_id, _states, _other{columns} FROM {table.name} WHERE _time >= ? "
        "AND _time < ? AND _lost = 0 AND _error_type IS NULL AND (? IS NULL OR _version = ?) "
        "ORDER BY hash(_id), _id LIMIT ?",
        [start, end, version, version, limit],
    ).fetchall()
    rows = []
    for id_, time, of, trace_id, letters, other, *cells in sorted(found, key=lambda row: (row[1], row[0])):
        held = dict(zip(placed, cells, strict=True))
        values = {
            name: _value(letters[field.position : field.position + 1], held.get(name), (other or {}).get(name))
            for name, field in table.fields.items()
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
