"""Stored predictions, read."""

from __future__ import annotations

from typing import Any

from otel_mlmon.store.catalog import Catalog
from otel_mlmon.store.database import Database
from otel_mlmon.store.logged import read_logged
from otel_mlmon.store.rows import read_rows
from otel_mlmon.store.window_rows import count_outside, read_examples
from otel_mlmon.values import RowBlock, Target
from otel_mlmon.values.query import RowQuery
from otel_mlmon.values.storage import Span


class Predictions:
    """Predictions of all models. See `values.storage.RowStorage` for the methods."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def models(self) -> list[str]:
        return self._catalog.models()

    def fields(self, model: str) -> list[str]:
        return list(self._catalog.fields(model))

    def read(self, query: RowQuery) -> RowBlock | None:
        table = self._catalog.table(query.model)
        if table is None:
            return None
        with self._database.reading() as cursor:
            return read_rows(cursor, table, self._catalog.fields(query.model), query)

    def examples(self, target: Target, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        table = self._catalog.table(target.model)
        if table is None:
            return []
        with self._database.reading() as cursor:
            return read_examples(cursor, table, self._catalog.fields(target.model), target, start, end, limit)

    def count_outside(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int:
        table = self._catalog.table(target.model)
        if table is None:
            return 0
        with self._database.reading() as cursor:
            return count_outside(cursor, table, self._catalog.fields(target.model), target, start, end, low, high)

    def logged(self, model: str, version: str | None, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        table = self._catalog.table(model)
        if table is None:
            return []
        with self._database.reading() as cursor:
            return read_logged(cursor, table, self._catalog.fields(model), version, start, end, limit)

    def span(self, model: str) -> Span | None:
        table = self._catalog.table(model)
        if table is None:
            return None
        with self._database.reading() as cursor:
            oldest, newest, n = cursor.execute(f"SELECT min(_time), max(_time), count(*) FROM {table}").fetchall()[0]
        return Span(oldest, newest, n) if n else None

    def newest_arrival(self, model: str, ahead_ns: int) -> tuple[int, int] | None:
        table = self._catalog.table(model)
        if table is None:
            return None
        with self._database.reading() as cursor:
            lines = cursor.execute(
                f"SELECT time, received FROM (SELECT _time AS time, _received AS received FROM {table} UNION ALL "
                "SELECT time, received FROM mlmon_state.ground_truth WHERE model = ?) WHERE time <= received + ? "
                "ORDER BY time DESC, received LIMIT 1",
                [model, ahead_ns],
            ).fetchall()
        return (lines[0][0], lines[0][1]) if lines else None

    def panes_after(self, model: str, seq: int, pane_ns: int) -> set[int]:
        table = self._catalog.table(model)
        if table is None:
            return set()
        with self._database.reading() as cursor:
            rows = cursor.execute(f"SELECT DISTINCT _time // {int(pane_ns)} FROM {table} WHERE _seq > ?", [seq])
            return {pane * pane_ns for (pane,) in rows.fetchall()}
