"""Play one history under one group of rules with the processor's engine, and record the alerts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.outcomes.streams import HOUR, Life
from otel_mlmon.checks.context import WindowRows
from otel_mlmon.diagnosis.outcome_change import Diagnosed, Diagnosis
from otel_mlmon.engine.tick import Engine
from otel_mlmon.lab.simulate.memory import MemoryWindows
from otel_mlmon.lab.simulate.run import MemoryStore, ticks
from otel_mlmon.rulefile import Group, PerformanceRule
from otel_mlmon.stats.metrics.outcomes import performance_counts
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Reference, Verdict, WindowProfile
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.window.outcome_rows import outcomes

DAYS = 60 * 24 * HOUR


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert that fired."""

    time: int
    rule: str
    segment: str
    message: str


class _Silent(Diagnosis):
    """Skip the messages of verdicts: they take most of the time and change no status."""

    def of(self, rule: PerformanceRule, verdict: Verdict, rows: WindowRows, reference: Reference | None) -> Diagnosed:
        return Diagnosed(verdict, biased=False)


class _Alerts(Engine):
    """Skip the revisions of past windows: they are for reports and fire no alert."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ground_truth.diagnosis = _Silent()
        self._ground_truth.revise = lambda *_: []  # type: ignore[method-assign]


class _Outcomes(MemoryWindows):
    """Windows without features."""

    def _window(self, query: WindowQuery) -> list[WindowProfile]:
        model, start, end, segments = query.model, query.start, query.end, query.segments
        block = self.rows(RowQuery(model, [(start, end)], segments, query.known_by))
        if block is None or not len(block):
            return []
        profiles = []
        for version in block.versions.labels:
            mine = block.versions.codes == block.versions.labels.index(version)
            parts = {"": mine} | {
                f"{key}={label}": mine & (block.segments[key].codes == code)
                for key in segments
                for code, label in enumerate(block.segments[key].labels)
            }
            for segment, mask in parts.items():
                rows = np.flatnonzero(mask)
                if len(rows):
                    counts = replace(performance_counts(outcomes(block, rows)), predictions=len(rows))
                    profiles.append(WindowProfile(model, version, segment, start, end, len(rows), 0, {}, counts))
        return profiles


def play(life: Life, group: Group) -> list[Fired]:
    """Evaluate every tick from the first row to the last, in order."""
    windows = _Outcomes(life.rows, lambda *_: life.reference, HOUR)
    engine = _Alerts(
        windows,
        lambda *_: life.reference,
        MemoryStore(),
        windows.count_outside,
        count_condition,
        aggregate=aggregate,
        ground_truth_horizon_ns=DAYS,
    )
    found = []
    for time, _ in ticks([group], life.rows, None, None):
        for alert in engine.tick([group], life.rows.model, time):
            if alert.phase == "firing":
                found.append(Fired(time, alert.rule, alert.target.segment, alert.verdict.result.message))
    if engine.failures or any(alert.verdict.result.status == "error" for alert in engine.alerts()):
        raise RuntimeError(f"rules failed: {engine.failures}")
    return found


def known_of(life: Life, since: int, until: int) -> int:
    """Count the ground truths, known at `until`, of predictions from `since` on."""
    rows = life.rows
    return int((rows.truth_known & (rows.times >= since) & (rows.truth_times <= until)).sum())


def without_effects(life: Life) -> Life:
    """Remove the design effects from the reference; the same history if it has none."""
    made = life.reference
    if not made.outcome_effects and not any(part.outcome_effects for part in made.segments.values()):
        return life
    segments = {key: replace(part, outcome_effects={}) for key, part in made.segments.items()}
    return replace(life, reference=replace(made, outcome_effects={}, segments=segments))
