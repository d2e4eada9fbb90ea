"""Parity: a sampled share of predictions is made again by the intended model, beside the user's call and never in it.

A sampled row waits here for the shadow's answer and then goes the way of all rows. Whatever goes wrong, the row goes without.
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
PATIENCE_S: Final = 10.0  # a row that comes much later would miss its window
_SPREAD: Final = 0x9E3779B1  # an odd constant, 2**32 over the golden ratio: CRCs of consecutive ids are much alike
_BITS: Final = 2**32
_ID: Final = PredictionRow._fields.index("id")
_PREDICTION: Final = PredictionRow._fields.index("prediction")
_FEATURES: Final = PredictionRow._fields.index("features")
_ERROR_TYPE: Final = PredictionRow._fields.index("error_type")


class Shadow:
    """Calls `implementation` with the features of a sampled share of rows, in a thread that the first of them starts.

    `on` takes a row without an answer, `answered` a row with the answer as one more element; `missed` is told why there
    is none, and `on_table` takes tables.
    """

    def __init__(
        self,
        implementation: Implementation,
        rate: float,
        *,
        on: Callable[[Row], None],
        on_table: Callable[[Table], None],
        answered: Callable[[Row], None],
        missed: Callable[[str], None],
        most_waiting: int = MOST_WAITING,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._implementation = implementation
        self._limit = round(rate * _BITS)
        self._on = on
        self._on_table = on_table
        self._answered = answered
        self._missed = missed
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._closed = False
        self.renew()

    def renew(self) -> None:
        """In a forked child: what waits is the parent's, and the thread did not come along."""
        self._waiting: deque[tuple[float, Row]] = deque()  # with the time at which patience ends, the oldest first
        self._busy: tuple[float, Row] | None = None
        self._changed = threading.Condition()  # its lock is reentrant, as a finalizer may interrupt any line here
        self._thread: threading.Thread | None = None

    # ---- in the user's call ----------------------------------------------------------------------------------------

    def sampled(self, id_: str) -> bool:
        """Whether the prediction of this id is made again: told by the id alone, so that all replicas agree."""
        return (zlib.crc32(id_.encode("utf-8", "replace")) * _SPREAD & 0xFFFFFFFF) < self._limit

    def add(self, row: Row) -> None:
        """Pass a row on, or keep it until its shadow has answered. About 0.3 µs for one that is not sampled."""
        if not self.sampled(row[_ID]) or not self._keep(row):
            self._on(row)

    def add_table(self, table: Table) -> None:
        """The same for many rows: those that are sampled leave the table."""
        chosen = [self.sampled(id_) for id_ in table.ids]
        if any(chosen):
            for index in compress(range(len(table)), chosen):
                self.add(_row(table, index))
            table = table.where([not each for each in chosen])
        if len(table):
            self._on_table(table)

    def _keep(self, row: Row) -> bool:
        if row[_PREDICTION] is ABSENT or row[_ERROR_TYPE] is not None:  # nothing to compare with
            return False
        with self._changed:
            if threading.current_thread() is self._thread:  # the shadow is itself instrumented: no shadow of a shadow
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

    # ---- beside it -------------------------------------------------------------------------------------------------

    def settle(self, timeout_s: float) -> bool:
        """Wait until nothing waits for an answer; False if that is not so in time."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while self._waiting or self._busy is not None:
                left = until - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self, timeout_s: float) -> None:
        """Wait for the answers, then let go of what still waits, without. Further rows are passed on at once."""
        with self._changed:
            self._closed = True
        self.settle(timeout_s)
        self._let_go(math.inf, "closed")

    def hurry(self) -> None:
        """Let go of what has waited too long; called at each flush."""
        if self._waiting or self._busy is not None:
            self._let_go(time.monotonic(), "too_slow")

    def _let_go(self, now: float, reason: str) -> None:
        with self._changed:
            left: list[Row] = []
            if self._busy is not None and self._busy[0] <= now:
                left.append(self._busy[1])
                self._busy = None
            while self._waiting and self._waiting[0][0] <= now:
                left.append(self._waiting.popleft()[1])
            for row in left:
                self._missed(reason)
                self._on(row)
            self._changed.notify_all()

    def _run(self) -> None:
        mine = self._changed  # after a fork the child has another one, and no such thread
        try:
            while mine is self._changed and self._answer_one(mine):
                pass
        except Exception as error:  # the next sampled row starts another thread
            guard.note("the shadow's thread", error)
        with mine:
            if mine is self._changed:
                self._thread = None
                lost, self._busy = self._busy, None
                if lost is not None:
                    self._missed("failed")
                    self._on(lost[1])
                mine.notify_all()

    def _answer_one(self, mine: threading.Condition) -> bool:
        """Wait for a row and answer it; False when there will be no more."""
        with mine:
            while not self._waiting and not self._closed:
                mine.wait()
            if not self._waiting:
                return False
            item = self._busy = self._waiting.popleft()
        answer = self._ask(item[1])
        with mine:
            if self._busy is not item:  # too late: it has gone without
                return True
            # Before it counts as settled, or a flush would miss it.
            if answer is ABSENT:
                self._missed("failed")
                self._on(item[1])
            else:
                self._answered((*item[1], answer))
            self._busy = None
            mine.notify_all()
        return True

    def _ask(self, row: Row) -> Any:
        try:
            return scalar(self._implementation(dict(row[_FEATURES])))
        except BaseException as error:  # whatever the user's code raises must not end the thread
            guard.note("the shadow", error)
            return ABSENT


def _row(table: Table, index: int) -> Row:
    """One row of a table as a single prediction has it."""

    def cells(columns: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        found = ((n, v[index]) for n, v in columns.items() if n.startswith(prefix))
        return {name.removeprefix(prefix): value for name, value in found if value is not ABSENT}

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
