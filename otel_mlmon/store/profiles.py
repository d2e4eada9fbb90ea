"""Profiles of panes: one row per pane, model version, segment and field; replaced as a whole, never updated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

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
    cursor: duckdb.DuckDBPyConnection,
    model: str,
    reference: str,
    start: int,
    end: int,
    segments: Sequence[str],
    fields: Sequence[str] | None = None,
) -> pa.Table:
    """Profiles of the panes in [start, end): those of the whole and of the segment keys asked for; of all fields, or of these."""
    where, about = _about(model, reference, start, end, segments, fields)
    return cursor.sql(
        "SELECT version, segment, field, counts, bins, total, squares, minimum, maximum FROM mlmon_state.profiles "
        f"WHERE {where}",
        params=about,
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
    fields: Sequence[str] | None = None,
) -> list[tuple[str, str, str, str, str, int]]:
    """Summed single values: (version, segment, field, "new" or "heavy", value, count).

    Of each field the `limit` most frequent, and heavy ones that are in `always`.
    """
    where, about = _about(model, reference, start, end, segments, fields)
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
    return [(v, s, f, kind, key, int(n)) for v, s, f, kind, key, n in rows]


def _about(
    model: str, reference: str, start: int, end: int, segments: Sequence[str], fields: Sequence[str] | None
) -> tuple[str, dict[str, Any]]:
    where = (
        "model = $model AND reference = $reference AND pane >= $start AND pane < $end "
        f"AND {in_segments('segment', '$segments')}"
    )
    about = {"model": model, "reference": reference, "start": start, "end": end, "segments": list(segments)}
    if fields is None:
        return where, about
    return f"{where} AND list_contains($fields, field)", {**about, "fields": list(fields)}


def read_traffic(
    cursor: duckdb.DuckDBPyConnection, model: str, reference: str, start: int, end: int, known_by: int
) -> pa.Table:
    """Pane by pane in [start, end): version, pane, rows, and of how many of them the ground truth was known by `known_by`."""
    about = "model = $model AND reference = $reference AND segment = '' AND pane >= $start AND pane < $end"
    return cursor.sql(
        "SELECT version, pane, sum(rows)::BIGINT AS rows, sum(truth) AS truth FROM ("
        f"SELECT version, pane, rows, 0.0 AS truth FROM mlmon_state.pane_totals WHERE {about} UNION ALL "
        f"SELECT version, pane, 0, with_truth FROM mlmon_state.outcomes WHERE {about} AND known <= $known) "
        "GROUP BY version, pane ORDER BY version, pane",
        params={"model": model, "reference": reference, "start": start, "end": end, "known": known_by},
    ).to_arrow_table()


def in_segments(column: str, parameter: str = "?") -> str:
    """SQL condition: the whole, or a segment of the keys in `parameter`."""
    return f"({column} = '' OR list_contains({parameter}, split_part({column}, '=', 1)))"
