"""A query that another thread can end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Stoppable:
    """Runs one query at a time, until `stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancel: Callable[[], None] | None = None
        self._stopped = False

    @contextmanager
    def under_way(self, cancel: Callable[[], None]) -> Iterator[bool]:
        """While the query runs that `cancel` ends. False when it is not to begin any more."""
        with self._lock:
            begins = not self._stopped
            self._cancel = cancel if begins else None
        try:
            yield begins
        finally:
            with self._lock:
                self._cancel = None

    def stop(self) -> None:
        """End what runs, and begin nothing more."""
        with self._lock:
            self._stopped = True
            if self._cancel is not None:
                self._cancel()


def moment(since: int) -> datetime:
    """Ns since the epoch, rounded down: a row that was taken already is a duplicate, one that is skipped is lost."""
    return _EPOCH + timedelta(microseconds=since // 1000)
