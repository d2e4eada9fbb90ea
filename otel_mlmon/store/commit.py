"""One commit: every batch into its table, and the work that follows, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb

from otel_mlmon.store.append import append_predictions
from otel_mlmon.store.catalog import Catalog, StoredField
from otel_mlmon.store.changes import FirstSightings, append_changes
from otel_mlmon.store.database import Database, quoted
from otel_mlmon.store.ground_truth import add_outcomes
from otel_mlmon.store.keyed import KeyedGroundTruth
from otel_mlmon.store.truth import append_ground_truth
from otel_mlmon.values import Batch, ChangeBatch, GroundTruthBatch, PredictionBatch
from otel_mlmon.values.storage import Appended


class Committer:
    """Writes one commit at a time: the caller serialises transactions."""

    def __init__(self, database: Database, catalog: Catalog, *, dedup_margin_ns: int, horizon_ns: int) -> None:
        self._catalog = catalog
        self._dedup_margin_ns = dedup_margin_ns
        self._keyed = KeyedGroundTruth(database, horizon_ns=horizon_ns)
        self._sightings = FirstSightings(database)
        self.expected: dict[str, dict[str, str]] = {}  # model → field → column type
        self._changes: dict[str, Catalog.Change] = {}

    def write(
        self, cursor: duckdb.DuckDBPyConnection, batches: Iterable[Batch], *, seq: int, received: int
    ) -> list[Appended]:
        """Write all batches in the caller's transaction; then call `keep`, unless that failed."""
        self._changes = {}
        self._keyed.forget()
        self._sightings.forget()
        results: list[Appended] = []
        for batch in batches:
            if isinstance(batch, ChangeBatch):
                stored = append_changes(cursor, batch)
                results.append(Appended("", stored, len(batch) - stored))
            elif isinstance(batch, GroundTruthBatch):
                append = self._keyed.append if batch.keys else append_ground_truth
                results.append(append(cursor, batch, seq=seq, received=received))
                add_outcomes(cursor, batch.model, {"duplicate": results[-1].duplicates})
            else:
                results.append(self._append(cursor, batch, seq, received))
                self._sightings.record(cursor, batch)
        for model in sorted({result.model for result in results}):
            self._keyed.join(cursor, model, *self._where(model), seq=seq, predictions=model in self._changes)
        return results

    def keep(self) -> None:
        """Adopt the changes after the commit."""
        for change in self._changes.values():
            self._catalog.keep(change)
        self._keyed.keep()
        self._sightings.keep()

    def _append(self, cursor: duckdb.DuckDBPyConnection, batch: PredictionBatch, seq: int, received: int) -> Appended:
        appended, self._changes[batch.model] = append_predictions(
            cursor,
            self._catalog,
            batch,
            seq=seq,
            received=received,
            expected_types=self.expected.get(batch.model, {}),
            dedup_margin_ns=self._dedup_margin_ns,
            pending=self._changes.get(batch.model),
        )
        return appended

    def _where(self, model: str) -> tuple[str | None, Mapping[str, StoredField]]:
        """Return a model's table and fields as they will be after the commit."""
        change = self._changes.get(model)
        if change is None:
            return self._catalog.table(model), self._catalog.fields(model)
        return f"predictions.{quoted(str(change.table))}", change.fields
