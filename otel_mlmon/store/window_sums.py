"""Sums over windows: predictions, predictions that senders lost, and ground truth as it was known at a time.

Every tick asks for few rows, and planning the queries costs most. So the queries have few expressions and use no DuckDB relations,
which are planned twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb

from otel_mlmon.store.profiles import EVER, in_segments
from otel_mlmon.values.profiles import SUMS, ClassCount, DroppedRows, RowSums, WindowSums
from otel_mlmon.values.query import WindowQuery

_SUMS: Final = ", ".join(f'sum("{name}")' for name in SUMS)


def read_window_sums(cursor: duckdb.DuckDBPyConnection, query: WindowQuery, starts: Sequence[int]) -> WindowSums:
    """Sum over the query's window moved to each of `starts`, any number of widths apart."""
    width, single = query.width, len(starts) == 1
    about: dict[str, Any] = {"model": query.model, "start": min(starts), "end": max(starts) + width}
    if not single:
        about |= {"width": width, "starts": list(starts)}

    def lines(table: str, columns: str, values: str, time: str, where: str, **more: Any) -> list[tuple[Any, ...]]:
        start = "$start" if single else f"$start + ({time} - $start) // $width * $width"
        several = "" if single else f" AND list_contains($starts, {start})"
        return cursor.execute(
            f"SELECT {start}, {columns}, {values} FROM mlmon_state.{table} WHERE model = $model AND {time} >= $start "
            f"AND {time} < $end{where}{several} GROUP BY ALL",
            {**about, **more},
        ).fetchall()

    panes = f" AND reference = $reference AND {in_segments('segment', '$segments')}"
    of: dict[str, Any] = {"reference": query.reference, "segments": list(query.segments)}
    totals = lines(
        "pane_totals", "version, segment", "sum(rows), sum(lost_rows), sum(broken_rows)", "pane", panes, **of
    )
    dropped = lines("dropped", "version", "sum(rows)", "time", "")
    sums: list[tuple[Any, ...]] = []
    classes: list[tuple[Any, ...]] = []
    if query.known_by != 0:
        known = f"{panes} AND known <= $known"
        of["known"] = EVER if query.known_by is None else query.known_by
        sums = lines("outcomes", "version, segment", _SUMS, "pane", known, **of)
        classes = lines("outcome_classes", "version, segment, truth, prediction", "sum(n)", "pane", known, **of)
    return WindowSums(
        list(map(RowSums._make, totals)),
        list(map(DroppedRows._make, dropped)),
        sums,
        list(map(ClassCount._make, classes)),
    )
