"""The store as the other stages see it: few operations, so that another engine can stand in for DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from otel_mlmon.store import ground_truth as truths
from otel_mlmon.store import profiles as pane_profiles
from otel_mlmon.store.append import Appended
from otel_mlmon.store.changes import read_changes
from otel_mlmon.store.commit import Committer
from otel_mlmon.store.database import Database
from otel_mlmon.store.history import History
from otel_mlmon.store.logged import read_logged
from otel_mlmon.store.outcome_tables import OutcomeTables
from otel_mlmon.store.rows import read_rows
from otel_mlmon.store.window_rows import count_outside, read_examples
from otel_mlmon.values import Batch, ChangeEvent, RowBlock, Target
from otel_mlmon.values.profiles import ValueCount
from otel_mlmon.values.query import RowQuery, WindowQuery

HOUR_NS = 3600 * 10**9


class Store(OutcomeTables, History):
    """One DuckDB file. Methods may be called from any thread; those that write are serialised."""

    def __init__(
        self,
        path: Path | None,
        *,
        memory_limit: str = "1GB",
        threads: int = 2,
        dedup_margin_ns: int = HOUR_NS,
        ground_truth_horizon_ns: int = 60 * 24 * HOUR_NS,
    ) -> None:
        """Open or create the file. Raises ConfigError when another process holds it or it is no DuckDB file."""
        super().__init__(Database(path, memory_limit=memory_limit, threads=threads))
        self._committer = Committer(
            self._database, self._catalog, dedup_margin_ns=dedup_margin_ns, horizon_ns=ground_truth_horizon_ns
        )
        with self._cursor() as cursor:
            self._unsettled = set(truths.unsettled(cursor))
        self._seq = self._last_seq()

    # ---- predictions and ground truth

    def expect_types(self, model: str, types: Mapping[str, str]) -> None:
        """Say which column type (number, string, bool) fields of a model get when they are first stored."""
        self._committer.expected[model] = dict(types)

    def commit(self, batches: Iterable[Batch], received: int) -> list[Appended]:
        """Append all batches in one transaction. Raises StoreUnavailable or RejectedInput; then nothing was stored."""
        with self._database.transaction() as cursor:
            seq = self._seq + 1
            results = self._committer.write(cursor, batches, seq=seq, received=received)
        self._committer.keep()
        self._seq = seq
        self._unsettled |= {result.model for result in results if result.model}
        return results

    def models(self) -> list[str]:
        """Models that ever sent a prediction."""
        return self._catalog.models()

    def rows(self, query: RowQuery) -> RowBlock | None:
        """Predictions with their ground truth; None for an unknown model."""
        table = self._catalog.table(query.model)
        if table is None:
            return None
        with self._cursor() as cursor:
            return read_rows(cursor, table, self._catalog.fields(query.model), query)

    def examples(self, target: Target, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        """A few stored predictions of a window, for a person to look at."""
        table = self._catalog.table(target.model)
        if table is None:
            return []
        with self._cursor() as cursor:
            return read_examples(cursor, table, self._catalog.fields(target.model), target, start, end, limit)

    def count_outside(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int:
        """Count the finite numbers of the target's field outside [low, high] in [start, end); None is no bound."""
        table = self._catalog.table(target.model)
        if table is None:
            return 0
        with self._cursor() as cursor:
            return count_outside(cursor, table, self._catalog.fields(target.model), target, start, end, low, high)

    def logged(self, model: str, version: str | None, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        """A sample of predictions as they were sent; [] for an unknown model."""
        table = self._catalog.table(model)
        if table is None:
            return []
        with self._cursor() as cursor:
            return read_logged(cursor, table, self._catalog.fields(model), version, start, end, limit)

    def span(self, model: str) -> tuple[int, int, int] | None:
        """(oldest, newest, number) of a model's predictions; None when there are none."""
        table = self._catalog.table(model)
        if table is None:
            return None
        with self._cursor() as cursor:
            oldest, newest, n = cursor.execute(f"SELECT min(_time), max(_time), count(*) FROM {table}").fetchall()[0]
        return None if not n else (oldest, newest, n)

    def newest_arrival(self, model: str, ahead_ns: int) -> tuple[int, int] | None:
        """(event time, arrival) of the newest prediction or ground truth, leaving out those from the future."""
        table = self._catalog.table(model)
        if table is None:
            return None
        with self._cursor() as cursor:
            found = cursor.execute(
                f"SELECT time, received FROM (SELECT _time AS time, _received AS received FROM {table} UNION ALL "
                "SELECT time, received FROM mlmon_state.ground_truth WHERE model = ?) WHERE time <= received + ? "
                "ORDER BY time DESC, received LIMIT 1",
                [model, ahead_ns],
            ).fetchall()
        return (found[0][0], found[0][1]) if found else None

    def panes_after(self, model: str, seq: int, pane_ns: int) -> set[int]:
        """Panes that hold rows committed after `seq`."""
        table = self._catalog.table(model)
        if table is None:
            return set()
        with self._cursor() as cursor:
            rows = cursor.execute(f"SELECT DISTINCT _time // {int(pane_ns)} FROM {table} WHERE _seq > ?", [seq])
            return {pane * pane_ns for (pane,) in rows.fetchall()}

    def settle_ground_truth(self) -> None:
        """Find out what became of the ground truth that was committed since the last time. One thread at a time."""
        for model in sorted(self._unsettled):
            self._unsettled.discard(model)
            try:
                with self._cursor() as cursor:
                    table, fields = self._catalog.table(model), self._catalog.fields(model)
                    settled = truths.look(cursor, model, table, fields, self._seq)
                with self._database.transaction() as cursor:
                    truths.write(cursor, settled)
            except BaseException:
                self._unsettled.add(model)
                raise

    def ground_truth_outcomes(self) -> dict[str, dict[str, int]]:
        """Model → what became of its ground truth → rows, as last settled."""
        with self._cursor() as cursor:
            return truths.read_outcomes(cursor)

    def changes(self, model: str, start: int, end: int, limit: int) -> list[ChangeEvent]:
        """The newest changes of a model in [start, end) ns, oldest first."""
        with self._cursor() as cursor:
            return read_changes(cursor, model, start, end, limit)

    def seq(self) -> int:
        """Number of the newest commit."""
        return self._seq

    # ---- profiles

    def progress(self, model: str) -> int:
        """Number of the commit up to which a model's rows are in profiles."""
        with self._cursor() as cursor:
            rows = cursor.execute("SELECT seq FROM mlmon_state.progress WHERE model = ?", [model]).fetchall()
        return int(rows[0][0]) if rows else 0

    def set_progress(self, model: str, seq: int) -> None:
        """Say that all rows up to commit `seq` are in profiles."""
        with self._database.transaction() as cursor:
            cursor.execute("INSERT OR REPLACE INTO mlmon_state.progress VALUES (?, ?)", [model, seq])

    def replace_panes(
        self, model: str, reference: str, panes: Sequence[int], fields: pa.Table, totals: pa.Table
    ) -> None:
        """Replace the profiles of these panes."""
        with self._database.transaction() as cursor:
            pane_profiles.replace_panes(cursor, model, reference, panes, fields, totals)

    def fields(self, model: str) -> list[str]:
        """Fields that a model's predictions ever had."""
        return list(self._catalog.fields(model))

    def profiles(self, query: WindowQuery, fields: Sequence[str] | None = None) -> pa.Table:
        """Profiles of the window's panes, for these fields (None: all)."""
        with self._cursor() as cursor:
            return pane_profiles.read_profiles(cursor, query, fields)

    def profile_values(
        self, query: WindowQuery, limit: int, always: Sequence[str] = (), fields: Sequence[str] | None = None
    ) -> list[ValueCount]:
        """The `limit` most frequent single values of these fields (None: all), and the values in `always`."""
        with self._cursor() as cursor:
            return pane_profiles.read_values(cursor, query, limit, always, fields)

    def traffic(self, query: WindowQuery) -> pa.Table:
        """Predictions and known ground truths, pane by pane: version, pane, rows, truth."""
        with self._cursor() as cursor:
            return pane_profiles.read_traffic(cursor, query)

    # ---- housekeeping

    def delete_before(self, model: str, time: int) -> int:
        """Retention: delete a model's predictions, ground truth and profiles older than `time`; returns predictions."""
        table = self._catalog.table(model)
        if table is None:
            return 0
        with self._database.transaction() as cursor:
            (deleted,) = cursor.execute(f"DELETE FROM {table} WHERE _time < ?", [time]).fetchall()[0]
            truths.delete_before(cursor, model, time)
            for name in ("profiles", "pane_totals", "outcomes", "outcome_classes"):
                name = f"mlmon_state.{name}"
                cursor.execute(f"DELETE FROM {name} WHERE model = ? AND pane < ?", [model, time])
            cursor.execute("DELETE FROM mlmon_state.dropped WHERE model = ? AND time < ?", [model, time])
        return int(deleted)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file."""
        self._database.checkpoint()

    def size_bytes(self) -> int:
        """Size of the file and its write-ahead log."""
        return self._database.size_bytes()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one read-only query, for tools and tests."""
        with self._cursor() as cursor:
            return cursor.execute(sql).fetchall()

    def close(self) -> None:
        """Checkpoint and close."""
        self._database.close()

    def _last_seq(self) -> int:
        tables = [table for model in self._catalog.models() if (table := self._catalog.table(model))]
        parts = [f"SELECT max(_seq) AS seq FROM {table}" for table in tables]
        # Retention may have deleted all the rows, and a commit of nothing but duplicates leaves none.
        others = ("ground_truth", "keyed_ground_truth", "ground_truth_settled", "progress", "outcome_progress")
        parts += [f"SELECT max(seq) AS seq FROM mlmon_state.{name}" for name in others]
        with self._cursor() as cursor:
            (newest,) = cursor.execute(f"SELECT max(seq) FROM ({' UNION ALL '.join(parts)})").fetchall()[0]
        return int(newest or 0)
