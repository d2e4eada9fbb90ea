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
        """Run a query that `cancel` ends. Yields False when the query may not begin any more."""
        with self._lock:
            begins = not self._stopped
            self._cancel = cancel if begins else None
        try:
            yield begins
        finally:
            with self._lock:
                self._cancel = None

    def stop(self) -> None:
        """End the running query, and begin no other."""
        with self._lock:
            self._stopped = True
            if self._cancel is not None:
                self._cancel()


def moment(since: int) -> datetime:
    """Return ns since the epoch as a datetime, rounded down: a row that is read twice is a duplicate, a skipped row is
    lost.
    """
    return _EPOCH + timedelta(microseconds=since // 1000)
