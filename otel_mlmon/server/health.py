"""The processor's own health: gauges for /metrics, status and notes for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from otel_mlmon.engine.tick import Engine
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.pipeline import Pipeline
from otel_mlmon.reference.book import ReferenceBook
from otel_mlmon.rulefile import format_duration
from otel_mlmon.server.evaluator import Evaluator
from otel_mlmon.server.ground_truth_sources import GroundTruthSources
from otel_mlmon.values import Point
from otel_mlmon.values.storage import Storage
from otel_mlmon.wire import semconv

VERSION: Final = version("otel-mlmon")


@dataclass(eq=False)
class Health:
    """Reads all parts of the processor; changes none."""

    store: Storage
    engine: Engine
    evaluator: Evaluator
    references: ReferenceBook
    pipeline: Pipeline
    sources: GroundTruthSources
    counters: Counters
    clock: Callable[[], int]

    def __post_init__(self) -> None:
        self._started = self.clock()

    def gauges(self) -> list[tuple[semconv.MetricName, Sequence[Point]]]:
        """Return the queue, the store, the evaluation, the rules and the ground truth as metrics."""
        wall = self.clock()
        failures = [
            Point({semconv.RULE_GROUP: group, semconv.RULE_NAME: rule}, n)
            for (group, rule), n in self.engine.failures.items()
        ]
        lags = [
            Point({semconv.MODEL_NAME: model}, max(wall - now, 0) / 1e9)
            for model in self.store.rows.models()
            if (now := self.evaluator.clocks.now(model, wall)) is not None
        ]
        groups = [
            Point({semconv.RULE_GROUP: group.name}, len(group.rules)) for group in self.evaluator.scheduler.groups
        ]
        return [
            (semconv.QUEUE_ROWS, [Point({}, self.pipeline.queue_rows())]),
            (semconv.STORE_SIZE, [Point({}, self.store.size_bytes())]),
            (semconv.EVALUATION_TIME, [Point({}, self.evaluator.last_run_s)]),
            (semconv.EVALUATION_FAILURES, failures),
            (semconv.INGEST_LAG, lags),
            *self.evaluator.accounts.metrics(),
            (semconv.RULES_RELOAD_OK, [Point({}, float(self.evaluator.rules.ok))]),
            (semconv.RULES_LOADED, groups),
        ]

    def notes(self) -> list[str]:
        """Return sentences about problems that a person should solve."""
        notes = (
            [] if self.evaluator.rules.ok else ["the rule files have mistakes; older rules are in force (see the log)"]
        )
        if not self.evaluator.scheduler.groups:
            notes.append("no rules are in force: name rule files with `--rules` or in the configuration")
        known = {reference.model for reference in self.references.all()}
        notes += [
            f"model {model!r} has no reference: make one with `mlmon reference create FILE --model {model}`"
            for model in self.store.rows.models()
            if model not in known
        ]
        return [*notes, *self.evaluator.accounts.notes(), *self.sources.notes()]

    def status(self) -> dict[str, Any]:
        """Return everything at a glance, JSON-able."""
        wall = self.clock()
        truths = self.store.ground_truth.results()
        return {
            "version": VERSION,
            "uptime_s": (wall - self._started) / 1e9,
            "models": [
                {**self._model(model, wall), "ground_truth": truths.get(model, {})}
                for model in self.store.rows.models()
            ],
            "rules": self._rules(),
            "ingest": self._ingest(),
            "ground_truth_sources": self.sources.status(),
            "store_bytes": self.store.size_bytes(),
            "notes": self.notes(),
        }

    def _model(self, model: str, wall: int) -> dict[str, Any]:
        oldest, newest, rows = self.store.rows.span(model) or (0, 0, 0)
        mine = [a for a in self.engine.alerts() if a.target.model == model]
        return {
            "model": model,
            "versions": sorted({a.target.version for a in mine}),
            "rows": rows,
            "oldest": oldest,
            "newest": newest,
            "clock": self.evaluator.clocks.now(model, wall) or 0,
            "verdicts": dict(Counter(a.verdict.result.status for a in mine)),
            "firing": sum(a.phase == "firing" for a in mine),
        }

    def _rules(self) -> list[dict[str, Any]]:
        verdicts: dict[tuple[str, str], Counter[str]] = {}
        firing: Counter[tuple[str, str]] = Counter()
        for alert in self.engine.alerts():
            key = (alert.group, alert.rule)
            verdicts.setdefault(key, Counter())[alert.verdict.result.status] += 1
            firing[key] += alert.phase == "firing"
        return [
            {
                "group": group.name,
                "rule": rule.alert,
                "check": rule.family,
                "method": rule.method,
                "model": group.model,
                "window": format_duration(group.window),
                "verdicts": dict(verdicts.get((group.name, rule.alert), {})),
                "firing": firing[group.name, rule.alert],
            }
            for group in self.evaluator.scheduler.groups
            for rule in group.rules
        ]

    def _ingest(self) -> dict[str, Any]:
        def rows(outcome: str) -> int:
            return int(self.counters.value(semconv.INGEST_ROWS, **{semconv.OUTCOME: outcome}))

        return {
            "received": int(self.counters.value(semconv.INGEST_RECEIVED)),
            "stored": rows("stored"),
            "duplicates": rows("duplicate"),
            "rejected": rows("rejected"),
        }
