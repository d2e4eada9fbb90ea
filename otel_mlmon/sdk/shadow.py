"""Parity: the intended model repeats a sampled share of the predictions, in a thread beside the user's calls.

A sampled row waits here for the shadow's answer and then joins the other rows. If the answer fails, the row is sent
without it.
"""

from __future__ import annotations

import math
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping
from itertools import compress
from typing import Any, Final

from otel_mlmon.sdk import guard
from otel_mlmon.sdk.buffer import Row
from otel_mlmon.sdk.table import PredictionRow, Table, scalar
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT

Implementation = Callable[[Mapping[Any, Any]], Any]

MOST_WAITING: Final = 1_000
PATIENCE_S: Final = 10.0  # a row that is sent much later would miss its window
_SPREAD: Final = 0x9E3779B1  # odd, 2**32 over the golden ratio; it spreads the similar CRCs of consecutive ids
_BITS: Final = 2**32
_ID: Final = PredictionRow._fields.index("id")
_PREDICTION: Final = PredictionRow._fields.index("prediction")
_FEATURES: Final = PredictionRow._fields.index("features")
_ERROR_TYPE: Final = PredictionRow._fields.index("error_type")


class Shadow:
    """Call `implementation` with the features of a sampled share of rows, in a thread that the first such row starts.

    `forward` takes a row without an answer, `forward_table` a table, `answered` a row with the answer as one more
    element. `missed` is called with the reason for a missing answer.
    """

    def __init__(
        self,
        implementation: Implementation,
        rate: float,
        *,
        forward: Callable[[Row], None],
        forward_table: Callable[[Table], None],
        answered: Callable[[Row], None],
        missed: Callable[[str], None],
        most_waiting: int = MOST_WAITING,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._implementation = implementation
        self._limit = round(rate * _BITS)
        self._forward = forward
        self._forward_table = forward_table
        self._answered = answered
        self._missed = missed
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._closed = False
        self.renew()

    def renew(self) -> None:
        """Start empty; in a forked child, the waiting rows are the parent's and the thread does not exist."""
        self._waiting: deque[tuple[float, Row]] = deque()  # each with its deadline, the oldest first
        self._busy: tuple[float, Row] | None = None
        self._changed = threading.Condition()  # a reentrant lock: a finalizer may interrupt any line here
        self._thread: threading.Thread | None = None

    # ---- in the user's call ----------------------------------------------------------------------------------------

    def sampled(self, id_: str) -> bool:
        """Whether the shadow repeats the prediction of this id. Depends on the id only, so that all replicas agree."""
        return (zlib.crc32(id_.encode("utf-8", "replace")) * _SPREAD & 0xFFFFFFFF) < self._limit

    def add(self, row: Row) -> None:
        """Forward a row, or keep it until its shadow has answered. About 0.3 µs for a row that is not sampled."""
        if not self.sampled(row[_ID]) or not self._keep(row):
            self._forward(row)

    def add_table(self, table: Table) -> None:
        """Forward a table; its sampled rows leave the table and are kept until their shadow has answered."""
        chosen = [self.sampled(id_) for id_ in table.ids]
        if any(chosen):
            for index in compress(range(len(table)), chosen):
                self.add(_row(table, index))
            table = table.where([not each for each in chosen])
        if len(table):
            self._forward_table(table)

    def _keep(self, row: Row) -> bool:
        if row[_PREDICTION] is ABSENT or row[_ERROR_TYPE] is not None:  # nothing to compare with
            return False
        with self._changed:
            if threading.current_thread() is self._thread:  # an instrumented shadow gets no shadow itself
                return False
            if self._closed or len(self._waiting) >= self._most_waiting:
                self._missed("closed" if self._closed else "queue_full")
                return False
            if self._thread is None and not self._start():
                return False
            self._waiting.append((time.monotonic() + self._patience_s, row))
            self._changed.notify_all()
        return True

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="otel-mlmon-shadow", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter is ending
            guard.note("starting the shadow's thread", error)
            self._missed("closed")
            return False
        self._thread = thread
        return True

    # ---- in the shadow's thread ------------------------------------------------------------------------------------

    def settle(self, timeout_s: float) -> bool:
        """Wait until no row waits for an answer. Return False on timeout."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._waiting or self._busy is not None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    return False
                self._changed.wait(remaining)
        return True

    def close(self, timeout_s: float) -> None:
        """Wait for the answers, then release the rows that still wait. Later rows are forwarded at once."""
        with self._changed:
            self._closed = True
        self.settle(timeout_s)
        self._release(math.inf, "closed")

    def release_late(self) -> None:
        """Release the rows that have waited too long; called at each flush."""
        if self._waiting or self._busy is not None:
            self._release(time.monotonic(), "too_slow")

    def _release(self, now: float, reason: str) -> None:
        with self._changed:
            late: list[Row] = []
            if self._busy is not None and self._busy[0] <= now:
                late.append(self._busy[1])
                self._busy = None
            while self._waiting and self._waiting[0][0] <= now:
                late.append(self._waiting.popleft()[1])
            for row in late:
                self._missed(reason)
                self._forward(row)
            self._changed.notify_all()

    def _run(self) -> None:
        changed = self._changed  # a forked child has a new condition, and no such thread
        try:
            while changed is self._changed and self._answer_next(changed):
                pass
        except Exception as error:  # the next sampled row starts another thread
            guard.note("the shadow's thread", error)
        with changed:
            if changed is self._changed:
                self._thread = None
                unanswered, self._busy = self._busy, None
                if unanswered is not None:
                    self._missed("failed")
                    self._forward(unanswered[1])
                changed.notify_all()

    def _answer_next(self, changed: threading.Condition) -> bool:
        """Wait for a row and answer it. Return False when the shadow is closed and no row waits."""
        with changed:
            while not self._waiting and not self._closed:
                changed.wait()
            if not self._waiting:
                return False
            item = self._busy = self._waiting.popleft()
        answer = self._ask(item[1])
        with changed:
            if self._busy is not item:  # too late: the row was released without the answer
                return True
            # Forward the row before it counts as settled, or a flush would miss it.
            if answer is ABSENT:
                self._missed("failed")
                self._forward(item[1])
            else:
                self._answered((*item[1], answer))
            self._busy = None
            changed.notify_all()
        return True

    def _ask(self, row: Row) -> Any:
        try:
            return scalar(self._implementation(dict(row[_FEATURES])))
        except BaseException as error:  # an error of the user's code must not end the thread
            guard.note("the shadow", error)
            return ABSENT


def _row(table: Table, index: int) -> Row:
    """Turn a row of a table into the tuple of a single prediction."""

    def cells(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        row = ((name, values[index]) for name, values in columns.items() if name.startswith(prefix))
        return {name.removeprefix(prefix): value for name, value in row if value is not ABSENT}

    trace, span = (table.texts[name][index] for name in (semconv.COLUMN_TRACE_ID, semconv.COLUMN_SPAN_ID))
    return (
        table.ids[index],
        table.times[index],
        cells(table.fields, semconv.COLUMN_FEATURE_PREFIX),
        table.fields[semconv.COLUMN_PREDICTION][index],
        cells(table.fields, semconv.COLUMN_SCORE_PREFIX) or None,
        None if table.durations is None else table.durations[index],
        cells(table.texts, semconv.COLUMN_SEGMENT_PREFIX) or None,
        table.texts[semconv.COLUMN_ERROR_TYPE][index],
        None if trace is None or span is None else (int(trace, 16), int(span, 16)),
    )
