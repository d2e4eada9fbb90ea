"""JSON documents (references, alert states, times of ticks) and the history of verdicts, revisions and estimates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import duckdb

from otel_mlmon.store import ledger
from otel_mlmon.store.database import Database
from otel_mlmon.values.history import LastRevision, LedgerEntry, RevisionRow, VerdictRow

_HISTORY: Final = ("verdicts", "revisions", "estimates")


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

    def record_tick(
        self,
        alerts: Mapping[str, Any],
        gone: Sequence[str],
        verdicts: Sequence[VerdictRow],
        revisions: Sequence[RevisionRow],
    ) -> None:
        with self._database.transaction() as cursor:
            _put(cursor, "alert", alerts, gone)
            _append(cursor, "verdicts", verdicts)
            _append(cursor, "revisions", revisions)

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
        with self._database.transaction() as cursor:
            ledger.append_estimates(cursor, rows)

    def score_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        with self._database.transaction() as cursor:
            ledger.score_estimates(cursor, rows)

    def estimates(self, alert: str, limit: int = 200) -> list[LedgerEntry]:
        with self._database.reading() as cursor:
            return ledger.read_estimates(cursor, alert, limit)

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
