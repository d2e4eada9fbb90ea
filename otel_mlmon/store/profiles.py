"""Profiles of panes: one row per pane, model version, segment and field; replaced as a whole, never updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from otel_mlmon.store.database import Database, insert
from otel_mlmon.values import FREQUENT_VALUES
from otel_mlmon.values.profiles import ValueCount
from otel_mlmon.values.query import WindowQuery

EVER: Final = 2**63 - 1  # later than any time, ns
# SQL condition: the whole, or a segment of the keys in $segments.
IN_SEGMENTS: Final = "(segment = '' OR list_contains($segments, split_part(segment, '=', 1)))"


class Profiles:
    """Profiles of all models. See `values.storage.ProfileStorage` for the methods."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def progress(self, model: str) -> int:
        with self._database.reading() as cursor:
            rows = cursor.execute("SELECT seq FROM mlmon_state.progress WHERE model = ?", [model]).fetchall()
        return int(rows[0][0]) if rows else 0

    def set_progress(self, model: str, seq: int) -> None:
        with self._database.transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO mlmon_state.progress VALUES (?, ?)", [model, seq])

    def replace(self, model: str, reference: str, panes: Sequence[int], profiles: pa.Table, totals: pa.Table) -> None:
        with self._database.transaction() as cursor:
            for table, fresh in (("profiles", profiles), ("pane_totals", totals)):
                if len(panes):
                    cursor.execute(
                        f"DELETE FROM mlmon_state.{table} WHERE model = ? AND reference = ? AND pane BETWEEN ? AND ? "
                        "AND pane IN (SELECT unnest(?))",
                        [model, reference, min(panes), max(panes), list(panes)],
                    )
                insert(cursor, table, fresh)

    def read(self, query: WindowQuery, fields: Sequence[str] | None = None) -> pa.Table:
        where, parameters = _where(query, fields)
        with self._database.reading() as cursor:
            return cursor.sql(
                "SELECT version, segment, field, counts, bins, total, squares, minimum, maximum "
                f"FROM mlmon_state.profiles WHERE {where}",
                params=parameters,
            ).to_arrow_table()

    def values(
        self, query: WindowQuery, always: Sequence[str], fields: Sequence[str] | None = None
    ) -> list[ValueCount]:
        where, parameters = _where(query, fields)
        parts = [
            f"SELECT version, segment, field, '{kind}' AS kind, unnest(map_entries({kind}), recursive := true) "
            f"FROM mlmon_state.profiles WHERE {where}"
            for kind in ("new", "heavy")
        ]
        with self._database.reading() as cursor:
            rows = cursor.execute(
                "SELECT version, segment, field, kind, key, n FROM ("
                "SELECT version, segment, field, kind, key, sum(value)::BIGINT AS n FROM "
                f"({' UNION ALL '.join(parts)}) GROUP BY ALL) QUALIFY row_number() OVER "
                "(PARTITION BY version, segment, field, kind ORDER BY n DESC, key) <= $limit "
                "OR (kind = 'heavy' AND list_contains($always, key))",
                {**parameters, "limit": FREQUENT_VALUES, "always": list(always)},
            ).fetchall()
        return [ValueCount._make(row) for row in rows]

    def traffic(self, query: WindowQuery) -> pa.Table:
        where = "model = $model AND reference = $reference AND segment = '' AND pane >= $start AND pane < $end"
        with self._database.reading() as cursor:
            return cursor.sql(
                "SELECT version, pane, sum(rows)::BIGINT AS rows, sum(truth) AS truth FROM ("
                f"SELECT version, pane, rows, 0.0 AS truth FROM mlmon_state.pane_totals WHERE {where} UNION ALL "
                f"SELECT version, pane, 0, with_truth FROM mlmon_state.outcomes WHERE {where} AND known <= $known) "
                "GROUP BY version, pane ORDER BY version, pane",
                params={**window_parameters(query), "known": known_by(query)},
            ).to_arrow_table()


def _where(query: WindowQuery, fields: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    where = f"model = $model AND reference = $reference AND pane >= $start AND pane < $end AND {IN_SEGMENTS}"
    parameters = {**window_parameters(query), "segments": list(query.segments)}
    if fields is None:
        return where, parameters
    return f"{where} AND list_contains($fields, field)", {**parameters, "fields": list(fields)}


def window_parameters(query: WindowQuery) -> dict[str, Any]:
    """SQL parameters for the model, the reference and the bounds of a window."""
    return {"model": query.model, "reference": query.reference, "start": query.start, "end": query.end}


def known_by(query: WindowQuery) -> int:
    """The time by which ground truth must be known."""
    return EVER if query.known_by is None else query.known_by
