"""The time of a model: the event time up to which its windows may be closed.

The clock stands at the newest event time and runs on at wall speed from the moment that event arrived. A live
model's clock is therefore the wall clock, and silence closes windows (as no_data); the clock of a replayed history
jumps with the history.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Newest:
    time: int
    received: int


class ModelClocks:
    """One clock per model; times in ns."""

    def __init__(self, *, ahead_ns: int) -> None:
        """Events more than `ahead_ns` in the future do not move a clock."""
        self._ahead_ns = ahead_ns
        self._newest: dict[str, _Newest] = {}
        self._lock = threading.Lock()

    def observe(self, model: str, time: int, received: int) -> None:
        """An event of this model at `time` arrived at `received`."""
        if time > received + self._ahead_ns:
            return
        with self._lock:
            known = self._newest.get(model)
            if known is None or time > known.time + max(received - known.received, 0):
                self._newest[model] = _Newest(time, received)

    def now(self, model: str, wall: int) -> int | None:
        """The model's time; None before its first event. Never ahead of the wall clock."""
        newest = self._newest.get(model)
        if newest is None:
            return None
        return min(newest.time + max(wall - newest.received, 0), wall)
