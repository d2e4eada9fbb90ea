"""The thread that evaluates rules, reloads rule files and forgets old rows."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.engine.tick import Engine
from otel_mlmon.server.ground_truth_accounts import GroundTruthAccounts
from otel_mlmon.server.rule_files import RuleFiles
from otel_mlmon.server.scheduler import Scheduler
from otel_mlmon.values.storage import Storage

_log = logging.getLogger(__name__)
TICK_S: Final = 0.5  # how often the scheduler looks for due work when nothing was committed
RETENTION_S: Final = 600.0  # between two deletions of old rows


@dataclass(eq=False)
class Evaluator:
    """Runs from `start` to `stop`. An error ends one round, not the thread. Setting `wake` starts a round at once."""

    scheduler: Scheduler
    rules: RuleFiles
    accounts: GroundTruthAccounts
    engine: Engine
    clocks: ModelClocks
    store: Storage
    wake: threading.Event
    clock: Callable[[], int]
    retention_ns: int
    last_run_s: float = 0.0  # end of the last round without an error, Unix time

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._reload = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlmon-evaluate", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def reload_soon(self) -> None:
        """Reload the rule files in the next round, which starts at once."""
        self._reload.set()
        self.wake.set()

    def stop(self) -> None:
        """End after the tick that runs."""
        self._stopping.set()
        self.wake.set()
        self._thread.join(30.0)

    def _run(self) -> None:
        cleaned = time.monotonic()
        while not self._stopping.is_set():
            self.wake.wait(TICK_S)
            self.wake.clear()
            try:
                if self._reload.is_set() or self.rules.changed():
                    self._reload.clear()
                    self.rules.reload()
                self.scheduler.run(self.clock(), self._stopping.is_set)
                self.last_run_s = self.clock() / 1e9
                self.accounts.settle()
                if time.monotonic() - cleaned > RETENTION_S:
                    cleaned = time.monotonic()
                    self._forget_old_rows()
            except Exception:  # the next round may succeed; /metrics shows the time of the last good one
                _log.exception("evaluation failed")

    def _forget_old_rows(self) -> None:
        for model in self.store.rows.models():
            now = self.clocks.now(model, self.clock())
            if now is not None:
                before = now - self.retention_ns
                self.store.delete_before(model, before)
                alerts = [alert.id for alert in self.engine.alerts() if alert.target.model == model]
                self.store.documents.forget_history(alerts, before)
        self.store.checkpoint()
