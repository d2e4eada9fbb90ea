"""The SDK's background thread: it flushes the outbox of every model each second, after a fork, and at exit."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import Final

from otel_mlmon.sdk import guard
from otel_mlmon.sdk.emit import size_aware
from otel_mlmon.sdk.outbox import Outbox

_EXIT_TIMEOUT_S: Final = 5.0
_SHADOW_TIMEOUT_S: Final = 2.0  # for all models together
_SHADOW_SHARE: Final = 0.8  # of the time that a flush may take
_IDLE_S: Final = 1.0


class Flusher:
    """Flush the outboxes of the process. The thread starts with the first row, and again in a forked child."""

    def __init__(self) -> None:
        self._outboxes: dict[Outbox, float] = {}  # with the time between two flushes, in seconds
        self._retired: list[Outbox] = []
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._running = False

    def add(self, outbox: Outbox, interval_s: float) -> None:
        """Flush `outbox` from now on."""
        with self._lock:
            self._outboxes[outbox] = interval_s
        self.go_first_at_exit()

    def retire(self, outbox: Outbox) -> None:
        """Flush `outbox` once more, then forget it."""
        try:
            outbox.close(0.0)  # the rows that wait for a shadow join the last flush
        except Exception as error:
            guard.note("retiring a monitor", error)
        with self._lock:
            if outbox in self._outboxes:
                del self._outboxes[outbox]
                self._retired.append(outbox)

    def wake(self) -> None:
        """Start the thread, or flush before the interval is over because many rows wait."""
        if self._running:
            self._wake.set()
            return
        with self._lock:
            if self._running:
                return
            self._running = True
        self.go_first_at_exit()
        try:
            threading.Thread(target=self._run, name="otel-mlmon-flush", daemon=True).start()
        except RuntimeError as error:  # the interpreter is ending: the exit handler flushes the waiting rows
            guard.note("starting the flush thread", error)

    def go_first_at_exit(self) -> None:
        """Run our exit handler before those of the existing providers, which shut them down."""
        atexit.unregister(self.at_exit)
        atexit.register(self.at_exit)  # handlers run last in, first out
        multiprocessing = sys.modules.get("multiprocessing.util")
        process = sys.modules.get("multiprocessing.process")
        if multiprocessing is not None and process is not None and process.parent_process() is not None:
            # Children of multiprocessing end by os._exit: they run finalizers, but no exit handlers.
            multiprocessing.Finalize(None, self.at_exit, kwargs={"alone": True}, exitpriority=100)

    def at_exit(self, *, alone: bool = False) -> None:
        """Flush everything, with a deadline per provider. `alone`: no provider shuts down after this."""
        try:
            outboxes = self._take_outboxes()
            # Our own log processor drains itself, within a limit, when its provider shuts down right after this.
            # Waiting here too would double the time to end a process while the receiver is away.
            waiting = [outbox for outbox in outboxes if alone or outbox.emitter.provider not in size_aware]
            deadline = time.monotonic() + _SHADOW_TIMEOUT_S
            for outbox in outboxes:
                outbox.close(max(0.0, deadline - time.monotonic()))
            for outbox in outboxes:
                outbox.drain()
            self.flush(waiting, _EXIT_TIMEOUT_S)
        except Exception as error:
            guard.note("flushing at exit", error)

    def flush(self, outboxes: list[Outbox], timeout_s: float) -> bool:
        """Emit the waiting rows and make the providers export them. Return False if one failed or was late."""
        for outbox in outboxes:
            outbox.drain()
        emitters = {id(outbox.emitter.provider): outbox.emitter for outbox in outboxes}
        flushed = [
            emitter.flush(timeout_s) for emitter in emitters.values()
        ]  # a list: a failure must not stop the rest
        return all(flushed)

    def flush_with_shadow(self, outbox: Outbox, timeout_s: float) -> bool:
        """Flush `outbox` with the rows that wait for their shadow; keep some of the time for the exporter."""
        deadline = time.monotonic() + timeout_s
        settled = outbox.settle(_SHADOW_SHARE * timeout_s)
        return self.flush([outbox], max(0.0, deadline - time.monotonic())) and settled

    def _take_outboxes(self) -> list[Outbox]:
        with self._lock:
            outboxes = [*self._outboxes, *self._retired]
            self._retired = []
        return outboxes

    def _interval_s(self) -> float:
        with self._lock:
            return min(self._outboxes.values(), default=_IDLE_S)

    def _run(self) -> None:
        wake = self._wake  # a forked child has a new event, and no such thread
        seen: set[int] = set()
        while wake is self._wake:
            try:
                wake.wait(self._interval_s())
                wake.clear()
                self._round(seen)
            except Exception as error:  # no error may end the thread
                guard.note("flushing", error)
                wake.wait(_IDLE_S)

    def _round(self, seen: set[int]) -> None:
        outboxes = self._take_outboxes()
        providers = {id(outbox.emitter.provider) for outbox in outboxes}
        if not providers <= seen:  # a provider was set after the first prediction
            seen |= providers
            self.go_first_at_exit()
        for outbox in outboxes:
            outbox.drain()
        for outbox in outboxes:
            outbox.emitter.end_round()

    def after_fork_in_child(self) -> None:
        """Start empty: the parent still has the waiting rows, and threads do not survive a fork."""
        self._start_afresh()
        self._retired = []
        for outbox in self._outboxes:
            outbox.renew()


FLUSHER: Final = Flusher()
os.register_at_fork(after_in_child=FLUSHER.after_fork_in_child)
