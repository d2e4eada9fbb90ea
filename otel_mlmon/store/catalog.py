"""The table of each model, and the column and `_states` position of each field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from otel_mlmon.store.database import Database, quoted
from otel_mlmon.wire.semconv import FIELD_PREDICTION

SQL_TYPE: Mapping[str, str] = {"number": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN"}

_META = (
    "_id VARCHAR NOT NULL, _time BIGINT NOT NULL, _received BIGINT NOT NULL, _seq BIGINT NOT NULL, "
    "_version VARCHAR NOT NULL, _states VARCHAR NOT NULL, _other MAP(VARCHAR, VARCHAR), _lost INTEGER NOT NULL, "
    "_duration DOUBLE, _trace_id VARCHAR, _span_id VARCHAR, _error_type VARCHAR, _segments MAP(VARCHAR, VARCHAR)"
)


@dataclass(frozen=True, slots=True)
class StoredField:
    """The place of a field. `type` is number, string or bool, and "" as `column` until a value arrives."""

    name: str
    column: str
    type: str
    position: int


@dataclass(frozen=True, slots=True)
class ModelTable:
    """A model's predictions, and a cursor to read them. `name` is quoted."""

    cursor: duckdb.DuckDBPyConnection
    model: str
    name: str
    fields: Mapping[str, StoredField]


class Catalog:
    """The catalogue in memory. Changes are written in the caller's transaction and kept after its commit."""

    def __init__(self, database: Database) -> None:
        self._tables: dict[str, str] = {}
        self._fields: dict[str, dict[str, StoredField]] = {}
        with database.reading() as cursor:
            models = cursor.execute("SELECT model, table_name FROM mlmon_state.models").fetchall()
            rows = cursor.execute("SELECT model, field, column_name, type, position FROM mlmon_state.fields").fetchall()
        for model, table in models:
            self._tables[model] = table
            self._fields[model] = {}
        for model, name, column, type_, position in rows:
            self._fields[model][name] = StoredField(name, column, type_, position)

    def models(self) -> list[str]:
        """Models that ever sent a prediction."""
        return sorted(self._tables)

    def table(self, model: str) -> str | None:
        """Quoted name of the model's table, None before its first prediction."""
        table = self._tables.get(model)
        return None if table is None else f"predictions.{quoted(table)}"

    def fields(self, model: str) -> dict[str, StoredField]:
        """Fields of a model by name, in the order of their positions."""
        return dict(sorted(self._fields.get(model, {}).items(), key=lambda item: item[1].position))

    def ensure(
        self,
        cursor: duckdb.DuckDBPyConnection,
        model: str,
        wanted: Mapping[str, str],
        pending: Catalog.Change | None = None,
    ) -> tuple[dict[str, StoredField], Catalog.Change]:
        """Create the missing columns for `wanted` (field → type). Call `keep` with the change after the commit.

        A field of type "" gets a position but no column yet: nulls do not tell the type of later values.
        """
        change = pending or Catalog.Change(model, self._tables.get(model), dict(self._fields.get(model, {})))
        if change.table is None:
            change.table = _free_table_name(cursor, model)
            cursor.execute(f"CREATE TABLE predictions.{quoted(change.table)} ({_META})")
            cursor.execute("INSERT INTO mlmon_state.models VALUES (?, ?)", [model, change.table])
        for name, type_ in wanted.items():
            known = change.fields.get(name)
            if known is not None and (known.type or not type_):
                continue
            position = len(change.fields) if known is None else known.position
            field = StoredField(name, _free_column(name, change.fields) if type_ else "", type_, position)
            if type_:
                cursor.execute(
                    f"ALTER TABLE predictions.{quoted(change.table)} "
                    f"ADD COLUMN {quoted(field.column)} {SQL_TYPE[type_]}"
                )
            cursor.execute("DELETE FROM mlmon_state.fields WHERE model = ? AND field = ?", [model, name])
            cursor.execute(
                "INSERT INTO mlmon_state.fields VALUES (?, ?, ?, ?, ?)",
                [model, name, field.column, type_, field.position],
            )
            change.fields[name] = field
        return change.fields, change

    def keep(self, change: Catalog.Change) -> None:
        """Adopt a committed change."""
        if change.table is not None:
            self._tables[change.model] = change.table
            self._fields[change.model] = change.fields

    @dataclass(slots=True)
    class Change:
        """A model's entry after the commit."""

        model: str
        table: str | None
        fields: dict[str, StoredField]


def _free_table_name(cursor: duckdb.DuckDBPyConnection, model: str) -> str:
    """Read taken names in the transaction itself, which may have created tables for other models."""
    taken = {table.lower() for (table,) in cursor.execute("SELECT table_name FROM mlmon_state.models").fetchall()}
    return _free(model or "unnamed", taken)


def _free_column(field: str, fields: Mapping[str, StoredField]) -> str:
    """Avoid names that differ only in case, as DuckDB ignores case, and a leading underscore, which is ours."""
    if field == FIELD_PREDICTION:
        return "_prediction"
    name = f"_{field}" if field.startswith("_") or not field else field
    return _free(name, {stored.column.lower() for stored in fields.values()})


def _free(name: str, taken: set[str]) -> str:
    name = name.replace("\0", "_")  # SQL cannot name it
    candidate, count = name, 2
    while candidate.lower() in taken:
        candidate, count = f"{name}_{count}", count + 1
    return candidate
