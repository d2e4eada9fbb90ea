"""Small things kept as JSON (references, alert states, evaluation times) and the history of verdicts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from otel_mlmon.values.history import LastRevision, RevisionRow, VerdictRow


def put_documents(
    cursor: duckdb.DuckDBPyConnection, kind: str, bodies: Mapping[str, Any], gone: Sequence[str] = ()
) -> None:
    """Create or replace documents, and delete those that are `gone`; unknown ones are ignored."""
    if bodies:
        texts = [json.dumps(body) for body in bodies.values()]
        cursor.execute(
            "INSERT OR REPLACE INTO mlmon_state.documents SELECT ?, unnest(?), unnest(?)", [kind, list(bodies), texts]
        )
    if gone:
        cursor.execute(
            "DELETE FROM mlmon_state.documents WHERE kind = ? AND key IN (SELECT unnest(?))", [kind, list(gone)]
        )


def read_documents(cursor: duckdb.DuckDBPyConnection, kind: str) -> dict[str, Any]:
    """All documents of a kind by key."""
    rows = cursor.execute("SELECT key, body FROM mlmon_state.documents WHERE kind = ? ORDER BY key", [kind]).fetchall()
    return {key: json.loads(body) for key, body in rows}


def append_verdicts(cursor: duckdb.DuckDBPyConnection, rows: Iterable[VerdictRow]) -> None:
    """Append verdicts."""
    _append(cursor, "verdicts", list(rows))


def read_verdicts(cursor: duckdb.DuckDBPyConnection, alert: str, limit: int) -> list[VerdictRow]:
    """The newest verdicts of one alert, in the order in which they were given."""
    rows = cursor.execute(
        'SELECT alert, "end", status, value, threshold, coalesce("time", "end") AS "time" FROM mlmon_state.verdicts '
        'WHERE alert = ? ORDER BY "time" DESC, rowid DESC LIMIT ?',
        [alert, limit],
    ).fetchall()
    return [VerdictRow._make(row) for row in reversed(rows)]


def delete_verdicts(cursor: duckdb.DuckDBPyConnection, alerts: Sequence[str], before: int) -> None:
    """Delete the verdicts of these alerts on windows that ended before `before`."""
    cursor.execute(
        'DELETE FROM mlmon_state.verdicts WHERE "end" < ? AND alert IN (SELECT unnest(?))', [before, list(alerts)]
    )


def append_revisions(cursor: duckdb.DuckDBPyConnection, rows: Sequence[RevisionRow]) -> None:
    """Append looks at past windows."""
    _append(cursor, "revisions", rows)


def _append(cursor: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        values = ", ".join(["unnest(?)"] * len(columns))
        cursor.execute(f"INSERT INTO mlmon_state.{table} SELECT {values}", columns)


def read_revisions(cursor: duckdb.DuckDBPyConnection, alert: str, limit: int) -> list[RevisionRow]:
    """The newest revisions of an alert's windows, oldest first."""
    rows = cursor.execute(
        'SELECT * FROM mlmon_state.revisions WHERE alert = ? ORDER BY known DESC, "end" DESC LIMIT ?', [alert, limit]
    ).fetchall()
    return [RevisionRow._make(row) for row in reversed(rows)]


def last_revisions(cursor: duckdb.DuckDBPyConnection, alert: str) -> list[LastRevision]:
    """The last look at each of an alert's windows."""
    rows = cursor.execute(
        'SELECT "end", last(with_truth ORDER BY known), last(maturity ORDER BY known) FROM mlmon_state.revisions '
        'WHERE alert = ? GROUP BY "end"',
        [alert],
    ).fetchall()
    return [LastRevision._make(row) for row in rows]


def delete_revisions(cursor: duckdb.DuckDBPyConnection, alerts: Sequence[str], before: int) -> None:
    """Delete what was seen of these alerts' windows that ended before `before`."""
    cursor.execute(
        'DELETE FROM mlmon_state.revisions WHERE "end" < ? AND alert IN (SELECT unnest(?))', [before, list(alerts)]
    )
