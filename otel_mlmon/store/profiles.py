"""Profiles of panes: one row per pane, model version, segment and field; replaced as a whole, never updated."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa

_PROFILE_COLUMNS = (
    "model, reference, version, segment, pane, field, counts, bins, total, squares, minimum, maximum, new, heavy"
)
_TOTAL_COLUMNS = "model, reference, version, segment, pane, known, rows, lost_rows, sums, confusion"


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
    cursor: duckdb.DuckDBPyConnection, model: str, reference: str, start: int, end: int, segments: Sequence[str]
) -> pa.Table:
    """Profiles of the panes in [start, end): those of the whole and of the segment keys asked for."""
    return cursor.sql(
        "SELECT version, segment, field, counts, bins, total, squares, minimum, maximum FROM mlmon_state.profiles "
        f"WHERE model = ? AND reference = ? AND pane >= ? AND pane < ? AND {_in_segments('segment')}",
        params=[model, reference, start, end, list(segments)],
    ).to_arrow_table()


def read_values(
    cursor: duckdb.DuckDBPyConnection,
    model: str,
    reference: str,
    start: int,
    end: int,
    segments: Sequence[str],
    limit: int,
    always: Sequence[str],
) -> list[tuple[str, str, str, str, str, int]]:
    """Summed single values: (version, segment, field, "new" or "heavy", value, count).

    Of each field the `limit` most frequent, and heavy ones that are in `always`.
    """
    parts = [
        f"SELECT version, segment, field, '{kind}' AS kind, unnest(map_entries({kind}), recursive := true) "
        f"FROM mlmon_state.profiles WHERE model = $1 AND reference = $2 AND pane >= $3 AND pane < $4 "
        f"AND {_in_segments('segment', '$5')}"
        for kind in ("new", "heavy")
    ]
    rows = cursor.execute(
        "SELECT version, segment, field, kind, key, n FROM ("
        f"SELECT version, segment, field, kind, key, sum(value)::BIGINT AS n FROM ({' UNION ALL '.join(parts)}) "
        "GROUP BY ALL) QUALIFY row_number() OVER "
        "(PARTITION BY version, segment, field, kind ORDER BY n DESC, key) <= $6 OR (kind = 'heavy' AND list_contains($7, key))",
        [model, reference, start, end, list(segments), limit, list(always)],
    ).fetchall()
    return [(v, s, f, kind, key, int(n)) for v, s, f, kind, key, n in rows]


def read_totals(
    cursor: duckdb.DuckDBPyConnection,
    model: str,
    reference: str,
    start: int,
    end: int,
    segments: Sequence[str],
    known_by: int,
) -> pa.Table:
    """Pane totals in [start, end), with the pane of each and the ground truth that was known by `known_by`."""
    return cursor.sql(
        "SELECT version, segment, pane, rows, lost_rows, sums, confusion FROM mlmon_state.pane_totals "
        f"WHERE model = ? AND reference = ? AND pane >= ? AND pane < ? AND known <= ? AND {_in_segments('segment')}",
        params=[model, reference, start, end, known_by, list(segments)],
    ).to_arrow_table()


def _in_segments(column: str, parameter: str = "?") -> str:
    return f"({column} = '' OR list_contains({parameter}, split_part({column}, '=', 1)))"
