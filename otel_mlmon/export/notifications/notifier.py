"""One thread per destination, so that evaluation never waits for the network."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod

from otel_mlmon.errors import backoff_s
from otel_mlmon.export.notifications.destination import TIMEOUT_S, Destination

_log = logging.getLogger(__name__)


class Notifier(ABC):
    """Calls `deliver` at once, then every `interval_s` and after `soon`, and once more at the end.

    Without an `interval_s`, only `soon` starts the next round. Waits after failures double from `first_wait_s` up to
    `longest_wait_s`.
    """

    def __init__(
        self, destination: Destination, *, interval_s: float | None, first_wait_s: float, longest_wait_s: float
    ) -> None:
        self._destination = destination
        self._interval_s = interval_s
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mlmon-{destination.name}", daemon=True)

    @abstractmethod
    def deliver(self) -> float | None:
        """Make one round of deliveries.

        Return None when all went well, else the least number of seconds to wait before the next round (0: no wish).
        """

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def soon(self) -> None:
        """Start the next round now, except after a failure: that wait spares a receiver in trouble."""
        self._wake.set()

    def stop(self) -> None:
        """Make one last round, no longer than one attempt takes, and end; make none when never started."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S + 1.0)
        self._destination.close()

    def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            last = self._stopping.is_set()  # after `clear`: `stop` sets them in the other order
            wish = self._round(first_failure=failures == 0)
            if last:
                return
            if wish is None:
                failures = 0
                self._wake.wait(self._interval_s)
            else:
                failures += 1
                self._stopping.wait(max(backoff_s(failures, self._first_wait_s, self._longest_wait_s), wish))

    def _round(self, *, first_failure: bool) -> float | None:
        try:
            return self.deliver()
        except Exception:  # the next round may succeed; a dead thread would send nothing more
            if first_failure:
                _log.exception("%s", self._thread.name)
            return 0.0
