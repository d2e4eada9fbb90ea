"""Rows that wait for the next flush: bounded, appended to without a lock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from otel_mlmon.sdk.table import Table

Row = tuple[Any, ...]


class Buffer:
    """Single rows and whole tables of one kind. The newest rows are refused when it is full.

    `on_wait` is called for the first row and whenever `wake_rows` or more wait; `on_refuse` with the rows refused.
    """

    def __init__(
        self, max_rows: int, wake_rows: int, on_wait: Callable[[], None], on_refuse: Callable[[int], None]
    ) -> None:
        self._max_rows = max_rows
        self._wake_rows = min(wake_rows, max_rows)
        self._on_wait = on_wait
        self._on_refuse = on_refuse
        self.renew()

    def renew(self) -> None:
        """Forget everything: in a forked child, these rows are the parent's."""
        self._rows: deque[Row] = deque()
        self._tables: deque[Table] = deque()
        self._table_rows = 0
        self._slow_from = 0  # the first row takes the slow way, on which the flush thread is started
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._rows) + self._table_rows

    def add(self, row: Row) -> None:
        """Append one row; about 0.1 µs, since `deque.append` is atomic."""
        if len(self._rows) >= self._slow_from and not self._admit(1):
            return
        self._rows.append(row)

    def add_table(self, table: Table) -> None:
        """Append a table, all of it or nothing."""
        if not self._admit(len(table)):
            return
        with self._lock:
            self._tables.append(table)
            self._table_rows += len(table)

    def _admit(self, rows: int) -> bool:
        self._slow_from = self._wake_rows
        self._on_wait()
        if len(self) + rows > self._max_rows:
            self._on_refuse(rows)
            return False
        return True

    def take(self) -> tuple[list[Row], list[Table]]:
        """Everything that waits, which is the caller's from now on."""
        # Not by swapping the deque: another thread may be about to append to the old one.
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        with self._lock:
            tables = list(self._tables)
            self._tables.clear()
            self._table_rows = 0
        return rows, tables
