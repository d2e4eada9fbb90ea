"""Ground truth from queries: each source runs at the start and then at intervals; one thread runs all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Protocol

import pyarrow.compute as pc

from otel_mlmon.errors import ConfigError, EvaluationError, RejectedInput, Retryable
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.decode import Table, decode_table
from otel_mlmon.ingest.receive.receipt import TableReceipt
from otel_mlmon.server.config import GroundTruthSource
from otel_mlmon.store.ground_truth_query import DatabaseQuery, GroundTruthQuery
from otel_mlmon.values import Decoded, GroundTruthBatch, GroundTruthLayout
from otel_mlmon.values.storage import DocumentStorage
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)
ROWS: Final = 10_000  # of one request to the pipeline
_KIND: Final = "ground_truth_source"  # kind of the documents that hold the newest time per source


class Query(Protocol):
    """See `store.ground_truth_query`."""

    def run(self, since: int, rows: int, take: Callable[[Table], None]) -> None: ...
    def stop(self) -> None: ...


@dataclass(slots=True)
class _State:
    """Progress of a source. `newest`: time of the newest row that was stored, ns."""

    newest: int = 0
    due: float = 0.0  # monotonic
    last_run: int = 0
    rows: dict[str, int] = field(default_factory=lambda: {"stored": 0, "duplicates": 0, "rejected": 0})
    message: str = ""  # of the first row that was rejected in the last run
    error: str = ""


@dataclass(eq=False)
class GroundTruthSources:
    """Runs from `start` to `stop`. A source that fails runs again at its next turn; the others go on."""

    sources: Sequence[tuple[GroundTruthSource, Query]]
    store: Callable[[Decoded], TableReceipt]
    documents: DocumentStorage
    counters: Counters
    clock: Callable[[], int]

    def __post_init__(self) -> None:
        taken = self.documents.read(_KIND)
        self.runs = [
            (source, query, _State(int(taken.get(source.name, {}).get("newest", 0)))) for source, query in self.sources
        ]
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Run every source once, then each one when it is due."""
        if self.sources:
            self._thread = threading.Thread(target=self._run, name="mlmon-ground-truth", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Stop the query that runs. Its rows so far stay stored; the next run fetches them again, as duplicates."""
        self._stopping.set()
        until = monotonic() + timeout_s
        while self._thread is not None and self._thread.is_alive() and monotonic() < until:
            for _, query in self.sources:  # repeatedly: a query that is about to begin cannot be stopped yet
                query.stop()
            self._thread.join(0.2)

    def status(self) -> list[dict[str, Any]]:
        """Return the progress of each source, JSON-able."""
        return [
            {
                "source": source.name,
                "model": source.model,
                "last_run": state.last_run,
                "newest": state.newest,
                **state.rows,
                "message": state.message,
                "error": state.error,
            }
            for source, _, state in self.runs
        ]

    def notes(self) -> list[str]:
        """Return sentences about problems that a person should solve."""
        found = []
        for source, _, state in self.runs:
            if state.error:
                found.append(f"ground truth source {source.name!r} failed: {state.error}")
            elif state.message:
                found.append(f"ground truth source {source.name!r}: rows were rejected: {state.message}")
        return found

    def _run(self) -> None:
        while not self._stopping.is_set():
            for source, query, state in self.runs:
                if not self._stopping.is_set() and monotonic() >= state.due:
                    self.fetch(source, query, state)
                    state.due = monotonic() + source.every / 1e9
            next_due = min(state.due for _, _, state in self.runs)
            self._stopping.wait(max(0.0, next_due - monotonic()))

    def fetch(self, source: GroundTruthSource, query: Query, state: _State) -> None:
        """Run one query to its end; never raises."""
        now = self.clock()
        newest = state.newest
        state.message = ""
        layout = GroundTruthLayout(
            model=source.model, id=source.id, value=source.value, time=source.time, keys=tuple(source.keys.items())
        )

        def take(table: Table) -> None:
            nonlocal newest
            if self._stopping.is_set():  # between two batches, `stop` of the query has no effect
                raise EvaluationError("the processor stops")
            decoded = decode_table(table, layout, received_ns=now)
            self._store_patiently(decoded, state)
            times = [pc.max(batch.times).as_py() for batch in decoded.batches if isinstance(batch, GroundTruthBatch)]
            # Not beyond now: after one row from the future, the query would skip all rows until that time.
            newest = max([newest, *(min(time, now) for time in times if time is not None)])

        try:
            query.run(state.newest, ROWS, take)
            if self._stopping.is_set():
                return
            if newest != state.newest:  # after the whole run: rows may come in any order
                self.documents.put(_KIND, {source.name: {"newest": newest}})
                state.newest = newest
            state.error = ""
        except Exception as error:  # a query may raise anything; the service and the other sources go on
            if self._stopping.is_set():
                return
            state.error = str(error) or type(error).__name__
            _log.error("ground truth source %s: %s", source.name, state.error)
        state.last_run = self.clock()
        about = {semconv.SOURCE: source.name, semconv.OUTCOME: "failed" if state.error else "ok"}
        self.counters.add((semconv.SOURCE_RUNS, 1, about))

    def _store_patiently(self, decoded: Decoded, state: _State) -> None:
        """Store rows; wait while the queue is full, since no sender would send them again."""
        while True:
            try:
                receipt = self.store(decoded)
            except Retryable as error:
                if self._stopping.wait(error.retry_after_s):
                    raise
                continue
            except RejectedInput as error:
                raise RejectedInput(f"rows cannot be stored: {error}", error.reason) from error
            state.rows["stored"] += receipt.stored
            state.rows["duplicates"] += receipt.duplicates
            state.rows["rejected"] += receipt.rejected
            state.message = state.message or receipt.message
            return


def query_of(source: GroundTruthSource) -> GroundTruthQuery | DatabaseQuery:
    """Return the source's query, ready to run. Raises ConfigError when it cannot."""
    try:
        if not source.database:
            return GroundTruthQuery(source.query, [(a.path, a.name) for a in source.attach], source.directory)
        return DatabaseQuery(
            source.query,
            source.database,
            source.directory,
            boolean=source.value if source.boolean else "",
            password_env=source.password_env,
            password_file=source.password_file,
        )
    except ConfigError as error:
        raise ConfigError(f"ground_truth: source {source.name!r}: {error}") from error
