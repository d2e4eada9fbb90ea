"""The schedule of groups: each tick of event time once, in order, for every model that a group covers."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from time import perf_counter

from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.engine.tick import Engine
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.reference.artefact import to_document
from otel_mlmon.rulefile import BudgetRule, EstimateRule, GroundTruthRule, Group
from otel_mlmon.values import Alert, Reference
from otel_mlmon.values.storage import Storage
from otel_mlmon.window import Plan, Windows
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)
MAX_CATCH_UP = 2000  # ticks; after a longer gap the oldest are skipped


@dataclass(eq=False)
class Scheduler:
    """Runs due ticks. One thread calls `run`; another may call `load`."""

    store: Storage
    windows: Windows
    engine: Engine
    clocks: ModelClocks
    references: Callable[[], Iterable[Reference]]
    counters: Counters
    notify: Callable[[Sequence[Alert]], None]
    lateness_ns: int
    horizon_ns: int
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: dict[str, str] = {}
        self._last = {key: int(t) for key, t in self.store.documents.read("tick").items()}
        self.closed: dict[str, int] = {}

    def load(self, groups: Iterable[Group]) -> None:
        """Put groups in force; alerts of removed rules end."""
        with self._lock:
            self.groups = tuple(groups)
            ended = self.engine.keep_only({(g.name, r.alert) for g in self.groups for r in g.rules})
            self._planned.clear()
        self.notify(ended)

    def references_changed(self, model: str) -> None:
        """Plan anew after a change of the model's references."""
        kinds = {"int": "number", "float": "number"}
        types = {
            f.name: kinds.get(f.type, f.type) for r in self.references() if r.model == model for f in r.fields.values()
        }
        self.store.expect_types(model, types)
        with self._lock:
            self._planned.pop(model, None)

    def run(self, wall: int, stopped: Callable[[], bool] = lambda: False) -> int:
        """Evaluate every tick that is due at wall time `wall` (ns); returns how many."""
        done = 0
        for model in self.store.rows.models():
            with self._lock:
                groups = [group for group in self.groups if group.covers(model)]
            now = self.clocks.now(model, wall)
            if now is None or not groups:
                continue
            upto = (now - self.lateness_ns) // self.windows.pane_ns * self.windows.pane_ns
            self._plan(model, groups, upto)
            self.windows.close(model, upto)
            self.closed[model] = max(upto, self.closed.get(model, 0))
            due = sorted(self._due(model, groups, upto), key=lambda found: found[0])
            for time, together in groupby(due, key=lambda found: found[0]):
                if stopped():
                    return done
                done += self._tick([group for _, group in together], model, time)
        return done

    def _tick(self, groups: Sequence[Group], model: str, time: int) -> int:
        started = perf_counter()
        changed = self.engine.tick(groups, model, time)
        keys = {_key(group, model): time for group in groups}
        self._last |= keys
        self.store.documents.put("tick", keys)
        seconds = (perf_counter() - started) / len(groups)
        for group in groups:
            self.counters.record(semconv.EVALUATION_DURATION, [seconds], {semconv.RULE_GROUP: group.name})
        self.notify(changed)
        return len(groups)

    def _due(self, model: str, groups: Iterable[Group], upto: int) -> list[tuple[int, Group]]:
        due: list[tuple[int, Group]] = []
        for group in groups:
            last = self._last.get(_key(group, model))
            if last is None:
                span = self.store.rows.span(model)
                if span is None:
                    continue
                last = span.oldest // group.interval * group.interval
            first = (last // group.interval + 1) * group.interval
            times = range(first, upto + 1, group.interval)
            if len(times) > MAX_CATCH_UP:
                _log.warning(
                    "group %s of model %s is %d ticks behind; the oldest are skipped", group.name, model, len(times)
                )
                times = times[-MAX_CATCH_UP:]
            due.extend((time, group) for time in times)
        return due

    def _plan(self, model: str, groups: Iterable[Group], upto: int) -> None:
        """Tell the windows the references and segments that the model's rules need, after a change."""
        if model in self._planned:
            return
        needed: dict[str, set[str]] = {}
        reach = 0
        for group in groups:
            keys = needed.setdefault(group.reference.name, set())
            if group.reference.segment:
                keys.add(group.reference.segment.partition("=")[0])
            for rule in group.rules:
                keys.update(rule.segments)
                late = self.horizon_ns if isinstance(rule, (GroundTruthRule, EstimateRule)) else 0
                over = rule.over if isinstance(rule, BudgetRule) else 0
                reach = max(reach, max(group.window, over) + late + group.reference.reach)
        plan = Plan({name: tuple(sorted(keys)) for name, keys in needed.items()})
        documents = [to_document(r) for r in self.references() if r.model == model and r.name in needed]
        said = json.dumps([sorted((k, v) for k, v in plan.segments.items()), self.windows.pane_ns, documents])
        fingerprint = hashlib.sha256(said.encode()).hexdigest()
        self.windows.plan(model, plan, fingerprint, upto - reach)
        self._planned[model] = fingerprint


def _key(group: Group, model: str) -> str:
    return json.dumps([group.name, model])
