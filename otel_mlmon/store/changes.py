"""Changes of a model: deployments that somebody reported, and first sightings in predictions."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.store.database import Database, registered
from otel_mlmon.values import ChangeBatch, ChangeEvent, PredictionBatch
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)
MOST: Final = 500  # first sightings of one kind per model; nobody reads more of them one by one
_Sighting = tuple[str, str, str]  # model, kind, value


class FirstSightings:
    """First sightings of versions, clients and feature sets, kept in memory so that most batches need no query."""

    def __init__(self, database: Database) -> None:
        self._known: set[_Sighting] = set()
        self._pending: dict[_Sighting, None] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._last_features: dict[str, frozenset[str]] = {}
        with database.reading() as cursor:
            rows = cursor.execute(
                "SELECT model, kind, value FROM mlmon_state.changes WHERE kind <> 'deployment' ORDER BY rowid"
            ).fetchall()
        for sighting in rows:
            self._learn(sighting)

    def record(self, cursor: duckdb.DuckDBPyConnection, batch: PredictionBatch) -> None:
        """Write the batch's first sightings in the caller's transaction; then call `keep` or `forget`."""
        if not len(batch):
            return
        time = 0
        for kind, value, text in self._seen(batch):
            sighting, full = (batch.model, kind, value), self._counts.get((batch.model, kind), 0) >= MOST
            if sighting in self._known or sighting in self._pending or full:
                continue
            time = time or int(pc.min(batch.times).as_py())
            self._pending[sighting] = None
            cursor.execute("INSERT INTO mlmon_state.changes VALUES (?, ?, ?, ?, ?)", [*sighting, time, text])

    def keep(self) -> None:
        """Adopt the sightings after the commit."""
        for sighting in self._pending:
            self._learn(sighting)
        self._pending = {}

    def forget(self) -> None:
        """Drop the sightings before a transaction, or after it failed."""
        self._pending = {}

    def _learn(self, sighting: _Sighting) -> None:
        model, kind, value = sighting
        self._known.add(sighting)
        self._counts[model, kind] = self._counts.get((model, kind), 0) + 1
        if self._counts[model, kind] == MOST:
            _log.warning("model %r has %d different values of %s: further ones are not noted", model, MOST, kind)
        if kind == "feature_set":
            self._last_features[model] = frozenset(json.loads(value))

    def _seen(self, batch: PredictionBatch) -> Iterator[tuple[str, str, str]]:
        """Yield (kind, value, text) of every possible first sighting in a batch."""
        if batch.version:
            yield "model_version", batch.version, f"first prediction of version {batch.version}"
        who = client(batch.origin)
        if who:
            yield "client", who, f"first prediction from {who}"
        release = batch.origin.get(semconv.SERVICE_VERSION, "")
        if release:
            value = f"{who} {release}".strip()
            yield "service_version", value, f"first prediction from {value}"
        names = sorted(name for name in batch.fields if not name.startswith("("))
        if names:
            value = json.dumps(names, ensure_ascii=False)
            yield "feature_set", value, self._difference(batch.model, frozenset(names))

    def _difference(self, model: str, names: frozenset[str]) -> str:
        before = self._last_features.get(model)
        if before is None:
            return f"{len(names)} features"
        parts = [("new", names - before), ("gone", before - names)]
        return "; ".join(f"{what}: {', '.join(sorted(which))}" for what, which in parts if which)


def client(origin: Mapping[str, str]) -> str:
    """The sender's name, from its resource attributes."""
    names = (origin.get(semconv.SERVICE_NAMESPACE, ""), origin.get(semconv.SERVICE_NAME, ""))
    return "/".join(filter(None, names))


def append_changes(cursor: duckdb.DuckDBPyConnection, batch: ChangeBatch) -> int:
    """Append reported changes; return how many are new."""
    types = {"model": pa.string(), "kind": pa.string(), "value": pa.string(), "time": pa.int64(), "text": pa.string()}
    columns = {name: pa.array([getattr(e, name) for e in batch.events], type_) for name, type_ in types.items()}
    with registered(cursor, pa.table(columns)):
        (stored,) = cursor.execute(
            "INSERT INTO mlmon_state.changes SELECT DISTINCT * FROM fresh EXCEPT SELECT * FROM mlmon_state.changes"
        ).fetchall()[0]
    return int(stored)


def read_changes(cursor: duckdb.DuckDBPyConnection, model: str, start: int, end: int, limit: int) -> list[ChangeEvent]:
    """Read the newest `limit` changes in [start, end) ns of a model and of all models, oldest first."""
    rows = cursor.execute(
        "SELECT model, kind, value, time, text FROM mlmon_state.changes WHERE model IN (?, '') AND time >= ? "
        "AND time < ? ORDER BY time DESC, rowid DESC LIMIT ?",
        [model, start, end, limit],
    ).fetchall()
    return [ChangeEvent(*row) for row in reversed(rows)]
