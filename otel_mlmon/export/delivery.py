"""One destination, one thread: whoever has something to tell never waits for the network."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, Final

import requests

from otel_mlmon.export.source import ObserveDelivery

_log = logging.getLogger(__name__)
_QUEUE: Final = 1000
_FIRST_WAIT_S: Final = 1.0
_LONGEST_WAIT_S: Final = 60.0
_TRIES: Final = 8
TIMEOUT_S: Final = 10.0


class Delivery:
    """Posts bodies in order, each until it is taken or has failed too often. A full queue drops the oldest."""

    def __init__(self, destination: str, url: str, observe: ObserveDelivery) -> None:
        self._destination = destination
        self._url = url
        self._observe = observe
        self._waiting: queue.Queue[Any] = queue.Queue(_QUEUE)
        self._stopping = threading.Event()
        self._session = requests.Session()
        self._complained = False
        self._thread = threading.Thread(target=self._run, name=f"mlmon-{destination}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def put(self, body: Any) -> None:
        """Queue a JSON body."""
        while True:
            try:
                self._waiting.put_nowait(body)
                return
            except queue.Full:
                self._waiting.get_nowait()
                self._observe(self._destination, "dropped")

    def post(self, body: Any) -> bool:
        """One attempt; the outcome is counted."""
        try:
            answer = self._session.post(self._url, json=body, timeout=TIMEOUT_S)
            answer.raise_for_status()
        except requests.RequestException as error:
            self._observe(self._destination, "failed")
            if not self._complained:  # once per outage
                _log.warning("%s does not take notifications: %s", self._url, error)
            self._complained = True
            return False
        self._complained = False
        self._observe(self._destination, "sent")
        return True

    def stop(self) -> None:
        """Deliver what waits, each once, and end."""
        self._stopping.set()
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)
        self._session.close()

    def _run(self) -> None:
        while (body := self._waiting.get()) is not None:
            wait = _FIRST_WAIT_S
            for _ in range(_TRIES):
                if self.post(body) or self._stopping.wait(wait):
                    break
                wait = min(wait * 2, _LONGEST_WAIT_S)


class Periodic:
    """Calls a function every `interval_s` in a thread of its own, and once more at the end."""

    def __init__(self, name: str, interval_s: float, function: Callable[[], None]) -> None:
        self._interval_s = interval_s
        self._function = function
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def soon(self) -> None:
        """Call now, rather than when the interval is over."""
        self._wake.set()

    def stop(self) -> None:
        """Call a last time and end."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(TIMEOUT_S)

    def _run(self) -> None:
        while True:
            self._wake.wait(self._interval_s)
            self._wake.clear()
            last = self._stopping
            try:
                self._function()
            except Exception:  # the next call may succeed
                _log.exception("%s", self._thread.name)
            if last:
                return
