"""Sums over predictions whose ground truth is known, and when it became known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from otel_mlmon.store.catalog import Catalog, ModelTable
from otel_mlmon.store.database import Database, insert
from otel_mlmon.store.profiles import IN_SEGMENTS, known_by, window_parameters
from otel_mlmon.store.rows import read_events
from otel_mlmon.values.profiles import SUMS, ClassCount, DroppedRows, RowSums, WindowSums
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.values.storage import GroundTruthEvents

_FURTHEST: Final = 2**62  # ns, further apart than any two times
_SUMS: Final = ", ".join(f'sum("{name}")' for name in SUMS)
_TABLES: Final = ("outcomes", "outcome_classes", "outcome_progress")


class Outcomes:
    """Sums of all models. See `values.storage.OutcomeStorage` for the methods."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def progress(self, model: str, reference: str) -> int:
        with self._database.reading() as cursor:
            rows = cursor.execute(
                "SELECT seq FROM mlmon_state.outcome_progress WHERE model = ? AND reference = ?", [model, reference]
            ).fetchall()
        return int(rows[0][0]) if rows else 0

    def events(
        self, model: str, segments: Sequence[str], since: int, upto: int, reach: int | None, most: int
    ) -> GroundTruthEvents | None:
        table = self._catalog.table(model)
        if table is None:
            return None
        with self._database.reading() as cursor:
            stored = ModelTable(cursor, model, table, self._catalog.fields(model))
            last = _next_commit(stored, since, upto, most)
            oldest = 0 if reach is None else _oldest_concerned(stored, since, last, reach)
            within = _FURTHEST if reach is None else reach
            rows, signs = read_events(stored, segments, since, last, oldest, within)
        return GroundTruthEvents(rows, signs, last)

    def append(self, model: str, reference: str, sums: pa.Table, classes: pa.Table, seq: int) -> None:
        with self._database.transaction() as cursor:
            insert(cursor, "outcomes", sums)
            insert(cursor, "outcome_classes", classes)
            cursor.execute(
                "INSERT OR REPLACE INTO mlmon_state.outcome_progress VALUES (?, ?, ?)", [model, reference, seq]
            )

    def forget(self, model: str) -> None:
        with self._database.transaction() as cursor:
            for name in _TABLES:
                cursor.execute(f"DELETE FROM mlmon_state.{name} WHERE model = ?", [model])

    def known(self, query: WindowQuery, step: int) -> pa.Table:
        with self._database.reading() as cursor:
            return cursor.sql(
                "SELECT version, pane // $step * $step AS at, (known - 1) // $step * $step AS known, "
                "sum(with_truth) AS n FROM mlmon_state.outcomes WHERE model = $model AND reference = $reference "
                "AND segment = '' AND pane >= $start AND pane < $end AND known <= $known GROUP BY ALL",
                params={**window_parameters(query), "known": known_by(query), "step": step},
            ).to_arrow_table()

    def window_sums(self, query: WindowQuery, starts: Sequence[int]) -> WindowSums:
        with self._database.reading() as cursor:
            return _window_sums(cursor, query, starts)


def _window_sums(cursor: duckdb.DuckDBPyConnection, query: WindowQuery, starts: Sequence[int]) -> WindowSums:
    """Sum up predictions, predictions that senders lost, and ground truth.

    Every tick asks for few rows, and planning the queries costs most. So the queries have few expressions and use no
    DuckDB relations, which are planned twice.
    """
    width, single = query.width, len(starts) == 1
    parameters: dict[str, Any] = {"model": query.model, "start": min(starts), "end": max(starts) + width}
    if not single:
        parameters |= {"width": width, "starts": list(starts)}

    def lines(table: str, columns: str, values: str, time: str, where: str, **more: Any) -> list[tuple[Any, ...]]:
        start = "$start" if single else f"$start + ({time} - $start) // $width * $width"
        several = "" if single else f" AND list_contains($starts, {start})"
        return cursor.execute(
            f"SELECT {start}, {columns}, {values} FROM mlmon_state.{table} WHERE model = $model AND {time} >= $start "
            f"AND {time} < $end{where}{several} GROUP BY ALL",
            {**parameters, **more},
        ).fetchall()

    panes = f" AND reference = $reference AND {IN_SEGMENTS}"
    more: dict[str, Any] = {"reference": query.reference, "segments": list(query.segments)}
    totals = lines(
        "pane_totals", "version, segment", "sum(rows), sum(lost_rows), sum(broken_rows)", "pane", panes, **more
    )
    dropped = lines("dropped", "version", "sum(rows)", "time", "")
    sums: list[tuple[Any, ...]] = []
    classes: list[tuple[Any, ...]] = []
    if query.known_by != 0:
        known = f"{panes} AND known <= $known"
        more["known"] = known_by(query)
        sums = lines("outcomes", "version, segment", _SUMS, "pane", known, **more)
        classes = lines("outcome_classes", "version, segment, truth, prediction", "sum(n)", "pane", known, **more)
    return WindowSums(
        list(map(RowSums._make, totals)),
        list(map(DroppedRows._make, dropped)),
        sums,
        list(map(ClassCount._make, classes)),
    )


def _next_commit(table: ModelTable, since: int, upto: int, most: int) -> int:
    """Return the last commit such that about `most` ground truths and predictions came after `since`."""
    last = table.cursor.execute(
        "SELECT max(seq) FROM (SELECT seq, sum(n) OVER (ORDER BY seq) AS upto, n FROM (SELECT seq, count(*) AS n FROM ("
        "SELECT seq FROM mlmon_state.ground_truth WHERE model = ? AND seq > ? AND seq <= ? UNION ALL "
        f"SELECT _seq FROM {table.name} WHERE _seq > ? AND _seq <= ?) GROUP BY seq)) WHERE upto - n <= ?",
        [table.model, since, upto, since, upto, most],
    ).fetchall()[0][0]
    # None: all commits were of other models.
    return upto if last is None else int(last)


def _oldest_concerned(table: ModelTable, since: int, upto: int, reach: int) -> int:
    """Return the time (ns) of the oldest prediction that these commits may concern.

    That is `reach` before the first ground truth of these commits, or their first prediction. It follows the data and
    not the clock, as a history that is loaded has a clock of its own.
    """
    oldest = table.cursor.execute(
        "SELECT least((SELECT min(time) FROM mlmon_state.ground_truth WHERE model = ? AND seq > ? AND seq <= ?) - ?, "
        f"(SELECT min(_time) FROM {table.name} WHERE _seq > ? AND _seq <= ?))",
        [table.model, since, upto, reach, since, upto],
    ).fetchall()[0][0]
    return 0 if oldest is None else int(oldest)
