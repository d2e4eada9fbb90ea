"""Explanations of alerts, made on demand, once for each verdict."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TakesLonger
from dataclasses import dataclass
from typing import Any, Final

from otel_mlmon.diagnosis import Explanation, Limits, Subject, explain
from otel_mlmon.engine.baselines import Baselines
from otel_mlmon.engine.matured_windows import WindowSource
from otel_mlmon.engine.tick import Engine
from otel_mlmon.rulefile import Group, Rule
from otel_mlmon.values import Alert, Reference
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.values.storage import Storage

KEPT: Final = 32  # explanations


@dataclass(eq=False)
class Explanations:
    """One thread makes them one by one, so that evaluation gets its share of the machine.

    `references` finds a reference by model, version and name.
    """

    store: Storage
    engine: Engine
    groups: Callable[[], Sequence[Group]]
    references: Callable[[str, str, str], Reference | None]
    windows: WindowSource

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[Any, ...], Future[Explanation]] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, "mlmon-explain")

    def find(self, alert: Alert, wait: float | None = None) -> Explanation | None:
        """Return the explanation; None when it takes longer than `wait` seconds (None: no limit)."""
        verdict = alert.verdict
        key = (alert.id, verdict.end, verdict.result.status, verdict.result.value, verdict.result.coverage, alert.phase)
        with self._lock:
            future = self._found.get(key)
            if future is None or (future.done() and future.exception() is not None):
                future = self._found[key] = self._pool.submit(self._explain, alert)
            self._found.move_to_end(key)
            while len(self._found) > KEPT:
                self._found.popitem(last=False)
        try:
            return future.result(wait)
        except TakesLonger:
            return None

    def _explain(self, alert: Alert) -> Explanation:
        return explain(self._subject(alert), self.store, Limits(time.monotonic))

    def _subject(self, alert: Alert) -> Subject:
        groups, target = self.groups(), alert.target
        group = next((group for group in groups if group.name == alert.group), None)
        rule = next((rule for rule in group.rules if rule.alert == alert.rule), None) if group else None
        start, end = alert.decisive.start, alert.decisive.end
        keys = {key for one in groups if one.covers(target.model) for rule in one.rules for key in rule.segments}
        status = self.engine.groups.get((alert.group, target.model))
        return Subject(
            alert=alert,
            rule=rule,
            group=group,
            reference=self._reference(alert, group, rule) if group else None,
            start=start,
            end=end,
            segments=tuple(sorted(keys)),
            known_by=status.end or None if status else None,
            predictions=status.rows.get((target.version, ""), 0) if status else 0,
        )

    def _reference(self, alert: Alert, group: Group, rule: Rule | None) -> Reference | None:
        target, start, end = alert.target, alert.decisive.start, alert.decisive.end
        segments = rule.segments if rule else ()
        query = WindowQuery(target.model, group.reference.name, start, end, segments, known_by=end)
        return Baselines(self.windows, self.references).reference(group.reference, target.version, query)
