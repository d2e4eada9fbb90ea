"""JSON documents (references, alert states, times of ticks) and the history of verdicts, revisions and estimates."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from otel_mlmon.store.database import Database, registered
from otel_mlmon.values.history import LastRevision, LedgerEntry, RevisionRow, TickRecord, VerdictRow

_HISTORY: Final = ("verdicts", "revisions", "estimates")
# Columns of the estimates: texts, whole numbers, and those that are known later.
_TEXTS: Final = frozenset({"alert", "model", "version", "segment", "metric"})
_WHOLE: Final = frozenset({"start", "end", "made", "with_truth", "scored"})
_RESULT: Final = ("realised", "realised_low", "realised_high", "with_truth", "coverage", "scored")


class Documents:
    """Documents and history of all models. See `values.storage.DocumentStorage` for the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, kind: str, bodies: Mapping[str, Any], *, gone: Sequence[str] = ()) -> None:
        if bodies or gone:
            with self._database.transaction() as cursor:
                _put(cursor, kind, bodies, gone)

    def read(self, kind: str) -> dict[str, Any]:
        with self._database.reading() as cursor:
            rows = cursor.execute(
                "SELECT key, body FROM mlmon_state.documents WHERE kind = ? ORDER BY key", [kind]
            ).fetchall()
        return {key: json.loads(body) for key, body in rows}

    def record_tick(self, tick: TickRecord) -> None:
        with self._database.transaction() as cursor:
            _put(cursor, "alert", tick.alerts, tick.gone)
            _append(cursor, "verdicts", tick.verdicts)
            _append(cursor, "revisions", tick.revisions)

    def verdicts(self, alert: str, limit: int = 500) -> list[VerdictRow]:
        with self._database.reading() as cursor:
            rows = cursor.execute(
                'SELECT alert, "end", status, value, threshold, coalesce("time", "end") AS "time" '
                'FROM mlmon_state.verdicts WHERE alert = ? ORDER BY "time" DESC, rowid DESC LIMIT ?',
                [alert, limit],
            ).fetchall()
        return [VerdictRow._make(row) for row in reversed(rows)]

    def revisions(self, alert: str, limit: int = 500) -> list[RevisionRow]:
        with self._database.reading() as cursor:
            rows = cursor.execute(
                'SELECT * FROM mlmon_state.revisions WHERE alert = ? ORDER BY known DESC, "end" DESC LIMIT ?',
                [alert, limit],
            ).fetchall()
        return [RevisionRow._make(row) for row in reversed(rows)]

    def last_revisions(self, alert: str) -> list[LastRevision]:
        with self._database.reading() as cursor:
            rows = cursor.execute(
                'SELECT "end", last(with_truth ORDER BY known), last(maturity ORDER BY known) '
                'FROM mlmon_state.revisions WHERE alert = ? GROUP BY "end"',
                [alert],
            ).fetchall()
        return [LastRevision._make(row) for row in rows]

    def append_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        if kept := list(rows):
            with self._database.transaction() as cursor, registered(cursor, _table(kept)):
                cursor.execute(
                    "INSERT INTO mlmon_state.estimates BY NAME SELECT * FROM fresh "
                    'ANTI JOIN mlmon_state.estimates USING (alert, "start", "end")'
                )

    def score_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        if scored := list(rows):
            changes = ", ".join(f"{name} = fresh.{name}" for name in _RESULT)
            with self._database.transaction() as cursor, registered(cursor, _table(scored)):
                cursor.execute(
                    f"UPDATE mlmon_state.estimates AS kept SET {changes} FROM fresh "
                    'WHERE kept.alert = fresh.alert AND kept."start" = fresh."start" AND kept."end" = fresh."end"'
                )

    def estimates(self, alert: str, limit: int = 200) -> list[LedgerEntry]:
        columns = ", ".join(f'"{name}"' for name in LedgerEntry._fields)
        with self._database.reading() as cursor:
            rows = cursor.execute(
                f'SELECT {columns} FROM mlmon_state.estimates WHERE alert = ? ORDER BY "end" DESC LIMIT ?',
                [alert, limit],
            ).fetchall()
        return [LedgerEntry._make(math.nan if value is None else value for value in row) for row in reversed(rows)]

    def forget_history(self, alerts: Sequence[str], before: int) -> None:
        with self._database.transaction() as cursor:
            for table in _HISTORY:
                cursor.execute(
                    f'DELETE FROM mlmon_state.{table} WHERE "end" < ? AND alert IN (SELECT unnest(?))',
                    [before, list(alerts)],
                )


def _put(cursor: duckdb.DuckDBPyConnection, kind: str, bodies: Mapping[str, Any], gone: Sequence[str]) -> None:
    if bodies:
        texts = [json.dumps(body) for body in bodies.values()]
        cursor.execute(
            "INSERT OR REPLACE INTO mlmon_state.documents SELECT ?, unnest(?), unnest(?)", [kind, list(bodies), texts]
        )
    if gone:
        cursor.execute(
            "DELETE FROM mlmon_state.documents WHERE kind = ? AND key IN (SELECT unnest(?))", [kind, list(gone)]
        )


def _append(cursor: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join(["unnest(?)"] * len(columns))
        cursor.execute(f"INSERT INTO mlmon_state.{table} SELECT {values}", columns)


def _table(rows: Sequence[LedgerEntry]) -> pa.Table:
    columns = {}
    for name, values in zip(LedgerEntry._fields, zip(*rows, strict=True), strict=True):
        type_ = pa.string() if name in _TEXTS else pa.int64() if name in _WHOLE else pa.float64()
        columns[name] = pa.array([None if isinstance(v, float) and math.isnan(v) else v for v in values], type_)
    return pa.table(columns)
