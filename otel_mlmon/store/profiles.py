"""Profiles of panes: one row per pane, model version, segment and field; replaced as a whole, never updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from otel_mlmon.values.profiles import ValueCount
from otel_mlmon.values.query import WindowQuery

EVER: Final = 2**63 - 1  # later than any time, ns

_PROFILE_COLUMNS = (
    "model, reference, version, segment, pane, field, counts, bins, total, squares, minimum, maximum, new, heavy"
)
_TOTAL_COLUMNS = "model, reference, version, segment, pane, rows, lost_rows, broken_rows"


def replace_panes(
    cursor: duckdb.DuckDBPyConnection,
    model: str,
    reference: str,
    panes: Sequence[int],
    profiles: pa.Table,
    totals: pa.Table,
) -> None:
    """Put `profiles` and `totals` in the place of whatever was known of these panes."""
    for table, columns, fresh in (
        ("mlmon_state.profiles", _PROFILE_COLUMNS, profiles),
        ("mlmon_state.pane_totals", _TOTAL_COLUMNS, totals),
    ):
        if len(panes):
            cursor.execute(
                f"DELETE FROM {table} WHERE model = ? AND reference = ? AND pane BETWEEN ? AND ? "
                "AND pane IN (SELECT unnest(?))",
                [model, reference, min(panes), max(panes), list(panes)],
            )
        if fresh.num_rows:
            cursor.register("fresh", fresh)
            cursor.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM fresh")
            cursor.unregister("fresh")


def read_profiles(
    cursor: duckdb.DuckDBPyConnection, query: WindowQuery, fields: Sequence[str] | None = None
) -> pa.Table:
    """Profiles of the window's panes, whole and by the query's segment keys; `fields` None: all fields."""
    where, about = _about(query, fields)
    return cursor.sql(
        "SELECT version, segment, field, counts, bins, total, squares, minimum, maximum FROM mlmon_state.profiles "
        f"WHERE {where}",
        params=about,
    ).to_arrow_table()


def read_values(
    cursor: duckdb.DuckDBPyConnection,
    query: WindowQuery,
    limit: int,
    always: Sequence[str],
    fields: Sequence[str] | None = None,
) -> list[ValueCount]:
    """The `limit` most frequent single values of each field, and top values that are in `always`."""
    where, about = _about(query, fields)
    parts = [
        f"SELECT version, segment, field, '{kind}' AS kind, unnest(map_entries({kind}), recursive := true) "
        f"FROM mlmon_state.profiles WHERE {where}"
        for kind in ("new", "heavy")
    ]
    rows = cursor.execute(
        "SELECT version, segment, field, kind, key, n FROM ("
        f"SELECT version, segment, field, kind, key, sum(value)::BIGINT AS n FROM ({' UNION ALL '.join(parts)}) "
        "GROUP BY ALL) QUALIFY row_number() OVER (PARTITION BY version, segment, field, kind ORDER BY n DESC, key) <= $limit "
        "OR (kind = 'heavy' AND list_contains($always, key))",
        {**about, "limit": limit, "always": list(always)},
    ).fetchall()
    return [ValueCount._make(row) for row in rows]


def _about(query: WindowQuery, fields: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    where = (
        "model = $model AND reference = $reference AND pane >= $start AND pane < $end "
        f"AND {in_segments('segment', '$segments')}"
    )
    about = {**window_parameters(query), "segments": list(query.segments)}
    if fields is None:
        return where, about
    return f"{where} AND list_contains($fields, field)", {**about, "fields": list(fields)}


def read_traffic(cursor: duckdb.DuckDBPyConnection, query: WindowQuery) -> pa.Table:
    """Predictions and known ground truths, pane by pane: version, pane, rows, truth."""
    about = "model = $model AND reference = $reference AND segment = '' AND pane >= $start AND pane < $end"
    return cursor.sql(
        "SELECT version, pane, sum(rows)::BIGINT AS rows, sum(truth) AS truth FROM ("
        f"SELECT version, pane, rows, 0.0 AS truth FROM mlmon_state.pane_totals WHERE {about} UNION ALL "
        f"SELECT version, pane, 0, with_truth FROM mlmon_state.outcomes WHERE {about} AND known <= $known) "
        "GROUP BY version, pane ORDER BY version, pane",
        params={**window_parameters(query), "known": EVER if query.known_by is None else query.known_by},
    ).to_arrow_table()


def window_parameters(query: WindowQuery) -> dict[str, Any]:
    """SQL parameters for the model, the reference and the bounds of a window."""
    return {"model": query.model, "reference": query.reference, "start": query.start, "end": query.end}


def in_segments(column: str, parameter: str = "?") -> str:
    """SQL condition: the whole, or a segment of the keys in `parameter`."""
    return f"({column} = '' OR list_contains({parameter}, split_part({column}, '=', 1)))"
