"""One DuckDB file as a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from otel_mlmon.store.catalog import Catalog
from otel_mlmon.store.changes import read_changes
from otel_mlmon.store.commit import Committer
from otel_mlmon.store.database import Database
from otel_mlmon.store.documents import Documents
from otel_mlmon.store.ground_truth import GroundTruthResults, delete_ground_truth
from otel_mlmon.store.outcomes import Outcomes
from otel_mlmon.store.predictions import Predictions
from otel_mlmon.store.profiles import Profiles
from otel_mlmon.values import Batch, ChangeEvent
from otel_mlmon.values.storage import Appended

HOUR_NS = 3600 * 10**9
_BY_PANE: Final = ("profiles", "pane_totals", "outcomes", "outcome_classes")


class Store:
    """One DuckDB file. Calls that write are serialised. See `values.storage.Storage` for the methods."""

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
        self._database = Database(path, memory_limit=memory_limit, threads=threads)
        self._catalog = Catalog(self._database)
        self.rows = Predictions(self._database, self._catalog)
        self.profiles = Profiles(self._database)
        self.outcomes = Outcomes(self._database, self._catalog)
        self.ground_truth = GroundTruthResults(self._database, self._catalog)
        self.documents = Documents(self._database)
        self._committer = Committer(
            self._database, self._catalog, dedup_margin_ns=dedup_margin_ns, horizon_ns=ground_truth_horizon_ns
        )
        self._seq = self._last_seq()

    def expect_types(self, model: str, types: Mapping[str, str]) -> None:
        self._committer.expected[model] = dict(types)

    def commit(self, batches: Iterable[Batch], received: int) -> list[Appended]:
        with self._database.transaction() as cursor:
            seq = self._seq + 1
            results = self._committer.write(cursor, batches, seq=seq, received=received)
        self._committer.keep()
        self._seq = seq
        self.ground_truth.touch(result.model for result in results if result.model)
        return results

    def seq(self) -> int:
        return self._seq

    def changes(self, model: str, start: int, end: int, limit: int) -> list[ChangeEvent]:
        with self._database.reading() as cursor:
            return read_changes(cursor, model, start, end, limit)

    def delete_before(self, model: str, time: int) -> int:
        table = self._catalog.table(model)
        if table is None:
            return 0
        with self._database.transaction() as cursor:
            (deleted,) = cursor.execute(f"DELETE FROM {table} WHERE _time < ?", [time]).fetchall()[0]
            delete_ground_truth(cursor, model, time)
            for name in _BY_PANE:
                cursor.execute(f"DELETE FROM mlmon_state.{name} WHERE model = ? AND pane < ?", [model, time])
            cursor.execute("DELETE FROM mlmon_state.dropped WHERE model = ? AND time < ?", [model, time])
        return int(deleted)

    def checkpoint(self) -> None:
        self._database.checkpoint()

    def size_bytes(self) -> int:
        return self._database.size_bytes()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one read-only query, for tools and tests."""
        with self._database.reading() as cursor:
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
        with self._database.reading() as cursor:
            (newest,) = cursor.execute(f"SELECT max(seq) FROM ({' UNION ALL '.join(parts)})").fetchall()[0]
        return int(newest or 0)
