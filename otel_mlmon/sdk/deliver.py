"""Deliver log records to the exporter, without the losses of OpenTelemetry's own batch processor.

The queue and the requests are bounded by bytes. A failed export is kept and tried again. The application may send its
own records through this processor too.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS
from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otel_mlmon.errors import backoff_s
from otel_mlmon.sdk import guard
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.sdk.session import Answer
from otel_mlmon.wire import semconv

_REQUEST_BYTES: Final = semconv.MAX_REQUEST_BYTES * 7 // 8
_RETRYABLE: Final = frozenset({None, 408, 429, 502, 503, 504})  # OTLP, and no answer at all
_FIRST_BACKOFF_S: Final = 1.0
_LAST_BACKOFF_S: Final = 30.0
_SHUTDOWN_S: Final = 5.0
_logger: Final = logging.getLogger("otel_mlmon")

Outcome = Literal["empty", "sent", "refused", "failed", "waiting", "busy"]


class _Item(NamedTuple):
    record: ReadableLogRecord
    size: int


class DeliveringLogRecordProcessor(LogRecordProcessor):
    """Export every `interval_s`, or earlier when a request is full. Owns `exporter`.

    `answer`: the last HTTP response; its status decides whether a failed export is tried again (None: always).
    """

    def __init__(
        self,
        exporter: LogRecordExporter,
        *,
        answer: Answer | None = None,
        max_bytes: int = 64 * 1024 * 1024,
        request_bytes: int = _REQUEST_BYTES,
        interval_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exporter = exporter
        self._answer = answer
        self._max_bytes = max_bytes
        self._request_bytes = request_bytes
        self._interval_s = interval_s
        self._clock = clock
        self._closed = False
        self._renew()
        renew = weakref.WeakMethod(self._renew)
        os.register_at_fork(after_in_child=lambda: (method := renew()) and method())

    def _renew(self) -> None:
        """Start empty; in a forked child, the waiting records are the parent's."""
        self._lock = threading.Lock()
        self._exporting = threading.Lock()
        self._queue: deque[_Item] = deque()
        self._request: list[_Item] = []  # taken from the queue, not yet delivered
        self._bytes = 0
        self._failures = 0  # in a row
        self._retry_at = 0.0
        self._wake = threading.Event()
        self._worker: threading.Thread | None = None

    # ---- in ---------------------------------------------------------------------------------------------------------

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Queue one record; a full queue drops its oldest records."""
        record = ReadableLogRecord(
            log_record.log_record,
            log_record.resource,  # type: ignore[arg-type]  # a provider always sets it
            log_record.instrumentation_scope,
            log_record.limits,
        )
        item = _Item(record, _size(record))
        if self._closed:
            _drop([item], "shutdown")
            return
        with self._lock:
            dropped = self._make_room(item.size)
            self._queue.append(item)
            self._bytes += item.size
            full = self._bytes >= self._request_bytes
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="otel-mlmon-deliver", daemon=True)
                self._start(self._worker)
        _drop(dropped, "queue_full")
        if full:
            self._wake.set()

    def _start(self, worker: threading.Thread) -> None:
        try:
            worker.start()
        except RuntimeError as error:  # the interpreter is ending; shutdown exports in line
            guard.note("starting the delivery thread", error)

    def _make_room(self, size: int) -> list[_Item]:
        dropped: list[_Item] = []
        if self._bytes + size > self._max_bytes and self._request and not self._exporting.locked():
            # This request is the oldest. If the server cannot take it, it must not block the queue for ever.
            dropped.extend(self._request)
            self._bytes -= sum(item.size for item in self._request)
            self._request = []
        while self._bytes + size > self._max_bytes and self._queue:
            dropped.append(self._queue.popleft())
            self._bytes -= dropped[-1].size
        return dropped

    # ---- out --------------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        wake = self._wake  # a forked child has a new event
        while wake is self._wake and not self._closed:
            wake.wait(max(self._interval_s if not self._retry_at else 0.0, self._retry_at - self._clock()))
            wake.clear()
            try:
                while self._export_next(patient=True) in {"sent", "refused"}:
                    pass
            except Exception as error:  # no error may end the thread
                guard.note("exporting", error)
                self._back_off()
        if self._closed:
            self._drain()

    def _export_next(self, *, patient: bool, wait_s: float = -1) -> Outcome:
        """Export one request. `patient`: not before the back-off of the last failure is over.

        `wait_s`: limit of the wait for a running export (-1: no limit).
        """
        if not self._exporting.acquire(timeout=wait_s):
            return "busy"
        try:
            if patient and self._clock() < self._retry_at:
                return "waiting"
            request = self._next_request()
            if not request:
                self._reset()
                return "empty"
            sent = self._export(request)
            status = self._answer.status if self._answer is not None else None
            if not sent and status in _RETRYABLE:
                self._back_off()
                return "failed"
            with self._lock:
                self._bytes -= sum(item.size for item in request)
                self._request = []
            self._reset()
            if not sent:
                message = self._answer.message if self._answer is not None else ""
                guard.warn_once(f"the OTLP endpoint refuses log records with status {status}: {message}")
                _drop(request, "rejected")
                return "refused"
            return "sent"
        finally:
            self._exporting.release()

    def _export(self, request: list[_Item]) -> bool:
        if self._answer is not None:
            self._answer.clear()
        token = attach(set_value(SUPPRESS, True))
        try:
            result = self._exporter.export([item.record for item in request])
        except Exception as error:
            guard.note("exporting", error)
            return False
        finally:
            detach(token)
        if self._answer is not None and self._answer.rejected:
            guard.warn_once(f"the OTLP endpoint rejected some records: {self._answer.message}")
        return result is LogRecordExportResult.SUCCESS

    def _next_request(self) -> list[_Item]:
        with self._lock:
            size = 0
            if not self._request:  # else it is one to repeat
                while self._queue and (not size or size + self._queue[0].size <= self._request_bytes):
                    self._request.append(self._queue.popleft())
                    size += self._request[-1].size
            return self._request

    def _back_off(self) -> None:
        self._failures += 1
        self._retry_at = self._clock() + backoff_s(self._failures, _FIRST_BACKOFF_S, _LAST_BACKOFF_S)

    def _reset(self) -> None:
        self._failures, self._retry_at = 0, 0.0

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Export everything; try again until the time is up. A running export may take longer."""
        deadline = self._clock() + timeout_millis / 1000
        patient = False  # the first try does not wait for the back-off
        while True:
            outcome = self._export_next(patient=patient, wait_s=max(0.0, deadline - self._clock()))
            patient = True
            if outcome == "empty":
                return True
            pause = max(0.0, self._retry_at - self._clock()) if outcome in {"failed", "waiting"} else 0.0
            if outcome == "busy" or self._clock() + pause >= deadline:
                return False
            time.sleep(pause)

    def shutdown(self) -> None:
        """Export the waiting records, for a few seconds at most; count the rest as lost and log it."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        worker = self._worker
        if worker is not None and worker.is_alive():
            worker.join(_SHUTDOWN_S)
        else:
            self._drain()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # also ends an export that waits to be repeated
        with self._lock:
            left = [*self._request, *self._queue]
            self._request, self._bytes = [], 0
            self._queue.clear()
        _drop(left, "shutdown")

    def _drain(self) -> None:
        try:
            while self._export_next(patient=False) in {"sent", "refused"}:
                pass
        except Exception as error:
            guard.note("exporting at shutdown", error)


def _size(record: ReadableLogRecord) -> int:
    """Estimate an upper bound of the bytes of `record` in a request."""
    log = record.log_record
    body: Any = log.body
    size = len(body) if isinstance(body, bytes) else 2 * len(repr(body).encode("utf-8", "replace"))
    return size + 2 * len(repr(dict(log.attributes or {})).encode("utf-8", "replace")) + 512


def _drop(items: list[_Item], reason: str) -> None:
    """Count the rows of batches that will not arrive; the application's own records are only logged."""
    if not items:
        return
    rows = 0
    for item in items:
        log = item.record.log_record
        attributes = log.attributes or {}
        model, size = attributes.get(semconv.MODEL_NAME), attributes.get(semconv.BATCH_SIZE)
        already_dropped = attributes.get(semconv.BATCH_DROPPED)
        if isinstance(model, str) and isinstance(size, int) and log.event_name:
            rows += size
            LEDGER.drop(model, log.event_name, reason, size)
            if isinstance(already_dropped, int):
                LEDGER.report_again(model, log.event_name, already_dropped)
    guard.warn_once(f"log records could not be delivered ({reason}); rows lost are counted")
    _logger.debug("%d log records with %d rows dropped: %s", len(items), rows, reason)
