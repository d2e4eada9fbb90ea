"""From bytes to committed rows: decode, wait in a bounded queue, commit in groups, then return a receipt."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from otel_mlmon.errors import Overloaded, RejectedInput, Retryable, StoreUnavailable
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.receive.receipt import Encoding, Receipt, Signal, TableReceipt
from otel_mlmon.values import Batch, Decoded, PredictionBatch
from otel_mlmon.values.storage import Appended
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)
GROUP_ROWS = 50_000  # a commit with this many rows takes no further request


# (signal, body, encoding, time of receipt in ns) → batches. Pure; arguments and result can be sent to another process.
Decode = Callable[[Signal, bytes, Encoding, int], Decoded]
# (batches, received): see `values.storage.Storage.commit`
Commit = Callable[[Sequence[Batch], int], Sequence[Appended]]
OnCommit = Callable[[Sequence[Batch], int], None]  # (batches, received)


@dataclass(frozen=True, slots=True)
class _Waiting:
    batches: tuple[Batch, ...]
    rows: int
    answer: Future[tuple[int, int]]  # stored, duplicates


class Pipeline:
    """Decode and store requests. May be called from many threads; one thread commits."""

    def __init__(
        self,
        commit: Commit,
        decode: Decode,
        on_commit: OnCommit,
        counters: Counters,
        clock: Callable[[], int],
        *,
        max_queue_rows: int,
    ) -> None:
        self._commit_batches = commit
        self._decode = decode
        self._on_commit = on_commit
        self._counters = counters
        self._clock = clock
        self._max_rows = max_queue_rows
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_rows = 0
        self._open = True
        self._thread = threading.Thread(target=self._run, name="mlmon-commit", daemon=True)
        self._thread.start()

    def __call__(self, signal: Signal, body: bytes, encoding: Encoding) -> Receipt:
        """Decode and store one request; return after the commit.

        Raises RejectedInput if the bytes are not OTLP, Overloaded if the queue is full, StoreUnavailable if the
        commit fails.
        """
        receipt = self.store(self._decode(signal, body, encoding, self._clock()))
        return Receipt(receipt.rejected, receipt.message)

    def store(self, decoded: Decoded) -> TableReceipt:
        """Store decoded batches; return after the commit.

        Raises RejectedInput if they cannot be stored, Overloaded if the queue is full, StoreUnavailable if the commit
        fails.
        """
        rows = sum(map(len, decoded.batches))
        rejected = sum(decoded.rejected.values())
        try:
            stored, duplicates = self._commit(decoded.batches, rows) if decoded.batches else (0, 0)
        except RejectedInput as error:
            attributes = {semconv.OUTCOME: "rejected", semconv.REASON: error.reason}
            self._counters.add((semconv.INGEST_RECEIVED, rows, {}), (semconv.INGEST_ROWS, rows, attributes))
            raise
        if rows or rejected:
            results = [("stored", "", stored), ("duplicate", "", duplicates)]
            results += [("rejected", reason, count) for reason, count in decoded.rejected.items()]
            self._counters.add(
                (semconv.INGEST_RECEIVED, rows + rejected, {}),
                *(
                    (semconv.INGEST_ROWS, count, {semconv.OUTCOME: outcome, semconv.REASON: reason})
                    for outcome, reason, count in results
                ),
            )
        return TableReceipt(stored, duplicates, rejected, decoded.rejected, decoded.message)

    def queue_rows(self) -> int:
        """Return the number of rows that wait for their commit."""
        return self._waiting_rows

    def close(self, timeout_s: float = 10.0) -> None:
        """Refuse new requests, commit the waiting rows, stop."""
        with self._lock:
            was_open, self._open = self._open, False
        if was_open:
            self._queue.put(None)
        self._thread.join(timeout_s)

    def _commit(self, batches: tuple[Batch, ...], rows: int) -> tuple[int, int]:
        with self._lock:
            if not self._open:
                raise StoreUnavailable("the processor is shutting down")
            # A request larger than the whole queue may pass alone; otherwise it could never be stored.
            if self._waiting_rows and self._waiting_rows + rows > self._max_rows:
                raise Overloaded(f"{self._waiting_rows} rows wait for their commit, the limit is {self._max_rows}")
            self._waiting_rows += rows
            waiting = _Waiting(batches, rows, Future())
            self._queue.put(waiting)
        return waiting.answer.result()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            last = False
            while sum(w.rows for w in group) < GROUP_ROWS:
                try:
                    more = self._queue.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    last = True
                    break
                group.append(more)
            self._commit_group(group)
            if last:
                return

    def _commit_group(self, group: list[_Waiting]) -> None:
        started = perf_counter()
        try:
            self._answer(group, self._clock())
        except Retryable as error:
            self._counters.add((semconv.STORE_FAILURES, 1, {}))
            self._leave(group)
            for waiting in group:
                waiting.answer.set_exception(error)
        except Exception as error:
            _log.exception("a commit of %d requests failed", len(group))
            self._counters.add((semconv.STORE_FAILURES, 1, {}))
            if len(group) == 1:
                refused = RejectedInput(f"cannot be stored: {type(error).__name__}: {error}", "unstorable")
                self._leave(group)
                group[0].answer.set_exception(refused)
            else:  # a bad request must not make the others fail
                for waiting in group:
                    self._commit_group([waiting])
                return
        self._counters.record(semconv.COMMIT_DURATION, [perf_counter() - started], {})

    def _answer(self, group: list[_Waiting], received: int) -> None:
        batches = [batch for waiting in group for batch in waiting.batches]
        outcomes = iter(self._commit_batches(batches, received))
        try:
            self._on_commit(batches, received)
        except Exception:  # the rows are committed, so an error here must not make the sender repeat them
            _log.exception("after a commit")
        self._leave(group)
        for waiting in group:
            of_request = [next(outcomes) for _ in waiting.batches]
            waiting.answer.set_result((sum(o.stored for o in of_request), sum(o.duplicates for o in of_request)))
            self._record_durations(waiting.batches, of_request)

    def _leave(self, group: list[_Waiting]) -> None:
        """Take the rows out of the queue's count; done before the callers return, so that they see a shorter queue."""
        with self._lock:
            self._waiting_rows -= sum(w.rows for w in group)

    def _record_durations(self, batches: Sequence[Batch], outcomes: Sequence[Appended]) -> None:
        for batch, outcome in zip(batches, outcomes, strict=True):
            if isinstance(batch, PredictionBatch) and outcome.stored:
                durations = batch.durations.drop_null().to_numpy(zero_copy_only=False)
                attributes = {semconv.MODEL_NAME: batch.model, semconv.MODEL_VERSION: batch.version}
                self._counters.record(semconv.DURATION, durations[np.isfinite(durations)].tolist(), attributes)
