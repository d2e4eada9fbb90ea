"""Groups of rules at one tick of event time: windows in, alerts out; and the table of all verdicts as of now."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from otel_mlmon.checks.model_case import Condition
from otel_mlmon.checks.outcome_case import OutcomeCase
from otel_mlmon.checks.pairs import matched
from otel_mlmon.checks.rows import WindowRows
from otel_mlmon.diagnosis.outcome_change import Diagnosis
from otel_mlmon.engine.alerts import alert_for, alert_id
from otel_mlmon.engine.baselines import Baselines
from otel_mlmon.engine.causes import causes
from otel_mlmon.engine.estimates import Estimates
from otel_mlmon.engine.matured_windows import RipeWindows, WindowSource
from otel_mlmon.engine.multiple_testing import correct, sharers
from otel_mlmon.engine.outcomes import Aggregate, judge_outcomes
from otel_mlmon.engine.pooled_windows import accumulate
from otel_mlmon.engine.revisions import Revisions
from otel_mlmon.engine.verdicts import (
    OutsideCounter,
    Scene,
    by_version,
    judge_fields,
    judge_model,
)
from otel_mlmon.rulefile import EstimateRule, FieldRule, GroundTruthRule, Group, ParityRule, PerformanceRule, Rule
from otel_mlmon.stats.metrics.outcomes import Outcomes
from otel_mlmon.values import Alert, AlertState, CheckResult, Reference, RowBlock, Target, Verdict
from otel_mlmon.values.alert_documents import alert_from_document, alert_to_document
from otel_mlmon.values.alert_state import step
from otel_mlmon.values.history import RevisionRow, VerdictRow
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.values.storage import TickStorage
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

_log = logging.getLogger(__name__)
_DELAY_QUANTILES: Final = (0.5, 0.9, 0.99)


@dataclass(slots=True)
class GroupStatus:
    """What the last tick of one group for one model saw."""

    end: int = 0
    rows: dict[tuple[str, str], int] = field(default_factory=dict)  # (version, segment) → rows
    lost: dict[str, int] = field(default_factory=dict)  # version → rows
    coverage: dict[str, float] = field(default_factory=dict)  # version → share with ground truth
    biased: dict[str, bool] = field(default_factory=dict)  # version → the labelled part does not look like the rest
    delays: dict[str, dict[str, float]] = field(
        default_factory=dict
    )  # version → quantile → seconds to the ground truth
    versions: tuple[str, ...] = ()


class Engine:
    """Evaluates. One thread calls `tick`; any thread may look at the results."""

    def __init__(
        self,
        windows: WindowSource,
        reference_for: Callable[[str, str, str], Reference | None],
        store: TickStorage,
        count_outside: OutsideCounter,
        condition: Condition,
        *,
        aggregate: Aggregate,
        ground_truth_horizon_ns: int,
    ) -> None:
        self._windows = windows
        self._baselines = Baselines(windows, reference_for)
        self._store = store
        self._count_outside = count_outside
        self._condition = condition
        self._aggregate = aggregate
        self._revisions = Revisions()
        self._revised: list[RevisionRow] = []  # to be written at the end of the tick
        self._diagnosis = Diagnosis()
        self._estimates = Estimates(store)
        self._horizon_ns = ground_truth_horizon_ns
        self._lock = threading.Lock()
        self._alerts: dict[str, Alert] = {}
        for key, body in store.read("alert").items():
            self._alerts[key] = alert_from_document(key, body)
        self._past: dict[str, deque[tuple[int, float]]] = {}
        self._memory: dict[str, Any] = store.read("memory")
        self.groups: dict[tuple[str, str], GroupStatus] = {}
        self.failures: dict[tuple[str, str], int] = {}

    def keep_only(self, rules: set[tuple[str, str]]) -> list[Alert]:
        """After a reload: forget alerts whose (group, rule) is gone; returns those that were firing, as resolved."""
        with self._lock:
            gone = [a for a in self._alerts.values() if (a.group, a.rule) not in rules]
            for alert in gone:
                del self._alerts[alert.id]
        self._store.put("alert", {}, gone=[alert.id for alert in gone])
        forgotten = [key for key in self._memory if tuple(json.loads(key)[:2]) not in rules]
        for key in forgotten:
            del self._memory[key]
        self._store.put("memory", {}, gone=forgotten)
        kept = {group for group, _ in rules}
        self.groups = {key: status for key, status in self.groups.items() if key[0] in kept}
        return [_ended(alert) for alert in gone if alert.phase == "firing"]

    def alerts(self) -> list[Alert]:
        """Every target's alert with its last verdict, inactive ones included."""
        with self._lock:
            return list(self._alerts.values())

    def alert(self, id_: str) -> Alert | None:
        """One alert by its id."""
        with self._lock:
            return self._alerts.get(id_)

    def tick(self, groups: Sequence[Group], model: str, time: int) -> list[Alert]:
        """Evaluate groups for one model at event time `time`; returns the alerts whose phase changed.

        All groups of a time together: whichever of them has the cause, nobody hears of the symptom first.
        """
        known = self._of(model)
        fresh: dict[str, Alert] = {}
        for group in groups:
            fresh |= self._evaluate(group, model, time, known)
        return self._adopt({group.name for group in groups}, known, fresh, time)

    def _evaluate(self, group: Group, model: str, time: int, known: Mapping[str, Alert]) -> dict[str, Alert]:
        status = self.groups.setdefault((group.name, model), GroupStatus())
        segments = sorted({key for rule in group.rules for key in rule.segments})
        start, name = time - group.window, group.reference.name
        of_fields = [rule for rule in group.rules if not isinstance(rule, (GroundTruthRule, EstimateRule))]
        # What is known of their outcomes is asked by those who judge it, of other windows.
        windows = by_version(
            self._windows.window(
                WindowQuery(
                    model,
                    name,
                    start,
                    time,
                    segments,
                    known_by=0,
                    fields=bool(of_fields),
                    selects=_selects(of_fields),
                )
            )
        )
        status.end = time
        status.versions = tuple(sorted(windows)) or status.versions or ("",)
        status.rows = {(v, s): w.rows for v, by in windows.items() for s, w in by.items()} or dict.fromkeys(
            status.rows, 0
        )
        status.lost = {v: by[""].lost_rows for v, by in windows.items() if "" in by}
        ripe = RipeWindows(self._windows, group, model, time, self._horizon_ns)
        rows = WindowRows(lambda keys: self._windows.rows(RowQuery(model, [(start, time)], keys, known_by=0)), segments)
        shadowed = self._shadowed(model, start, time, segments)
        fresh: dict[str, Alert] = {}
        late = ripe.waiting() if any(isinstance(rule, GroundTruthRule) for rule in group.rules) else []
        for version in dict.fromkeys((*status.versions, *late)):
            rules = [r for r in group.rules if version in status.versions or isinstance(r, GroundTruthRule)]
            reference = self._baselines.reference(group.reference, model, version, start, time, segments, time)
            scene = Scene(
                model, version, reference, windows.get(version, {}), start, time, rows,
                partial(self._traffic, model, name, version), self._condition, self._count_outside,
                sharers(group.rules),
            )  # fmt: skip
            judged = [
                (
                    rule,
                    accumulate(
                        self._past, alert_id(group.name, rule.alert, verdict.target), verdict, reference, rule.method
                    ),
                )
                for rule in rules
                for verdict in self._judge(
                    group,
                    rule,
                    replace(scene, rows=shadowed) if isinstance(rule, ParityRule) else scene,
                    ripe,
                    known,
                    status,
                )
            ]
            for rule, verdict in correct(judged, group.interval):
                key = alert_id(group.name, rule.alert, verdict.target)
                before = known.get(key)
                state = _next(rule, before.state if before else AlertState(), verdict, time)
                fresh[key] = alert_for(group, rule, key, state, verdict, before)
        return fresh

    def _shadowed(self, model: str, start: int, end: int, segments: Sequence[str]) -> WindowRows:
        """The few predictions of a window that have a shadow: the two answers, and all columns for where they are apart."""

        def read(only: Collection[str] | None) -> Callable[[Sequence[str]], RowBlock | None]:
            return lambda keys: self._windows.rows(
                RowQuery(model, [(start, end)], keys, known_by=0, fields=only, with_ids=True, having=FIELD_SHADOW)
            )

        return WindowRows(read((FIELD_PREDICTION, FIELD_SHADOW)), segments, WindowRows(read(None), segments))

    def _judge(
        self, group: Group, rule: Rule, scene: Scene, ripe: RipeWindows, known: Mapping[str, Alert], status: GroupStatus
    ) -> list[Verdict]:
        try:
            if isinstance(rule, GroundTruthRule):
                return self._judge_outcomes(group, rule, scene, ripe, status)
            if isinstance(rule, EstimateRule):
                return [
                    self._estimates.judge(alert_id(group.name, rule.alert, verdict.target), rule, verdict, ripe)
                    for verdict in judge_model(rule, scene)
                ]
            if not isinstance(rule, FieldRule):
                return list(judge_model(rule, scene))
            judged = {
                alert.target.field
                for alert in known.values()
                if (alert.group, alert.rule) == (group.name, rule.alert)
                and alert.target.version == scene.version
                and alert.target.field
            }
            key = json.dumps([group.name, rule.alert, scene.model, scene.version])
            memory: dict[str, Any] = self._memory.get(key, {})
            found = list(judge_fields(rule, scene, judged, memory))
            if memory:
                self._memory[key] = memory
                self._store.put("memory", {key: memory})
            return found
        except Exception as error:
            _log.exception("rule %s of group %s failed for model %s", rule.alert, group.name, scene.model)
            self.failures[group.name, rule.alert] = self.failures.get((group.name, rule.alert), 0) + 1
            result = CheckResult("error", "exception", message=f"{type(error).__name__}: {error}")
            return [Verdict(Target(scene.model, scene.version), scene.start, scene.end, result)]

    def _judge_outcomes(
        self, group: Group, rule: GroundTruthRule, scene: Scene, ripe: RipeWindows, status: GroupStatus
    ) -> list[Verdict]:
        windows, start, end = ripe.newest(rule, scene.version)
        if "" in windows:
            counts = windows[""].performance
            covered = counts.with_truth / counts.predictions if counts.predictions else 0.0
            status.coverage[scene.version] = covered
        maturity = ripe.maturity(scene.version)
        status.delays[scene.version] = {str(q): maturity.quantile_s(q) for q in _DELAY_QUANTILES}
        found = self._outcomes_in(group, rule, scene, ripe, start, end)
        if not isinstance(rule, PerformanceRule):
            return found
        self._revise(group, rule, scene, ripe)
        told: list[Verdict] = []
        for verdict in found:
            more, biased = self._diagnosis.of(rule, verdict, ripe.rows(start, end), scene.reference)
            told.append(more)
            if not verdict.target.segment:
                status.biased[scene.version] = biased
        return told

    def _outcomes_in(
        self, group: Group, rule: GroundTruthRule, scene: Scene, ripe: RipeWindows, start: int, end: int
    ) -> list[Verdict]:
        """Verdicts on one window, by what is known of it now."""
        model, version, time = scene.model, scene.version, scene.end
        reference, pane = scene.reference, self._windows.pane_ns
        if not group.reference.stored:  # what is normal is measured around the window that is judged
            reference = self._baselines.reference(group.reference, model, version, start, end, rule.segments, time)
        windows = ripe.between(version, start, end, rule.segments)
        case = OutcomeCase(
            model, version, start, end, time, windows, reference, ripe.rows(start, end),
            lambda first, last: ripe.between(version, first // pane * pane, last, rule.segments),
        )  # fmt: skip
        scene = replace(scene, windows=windows, start=start, end=end, reference=reference)
        pairs = partial(self._pairs, group, scene, time)
        return list(judge_outcomes(rule, scene, case, ripe.maturity(version), self._aggregate, pairs))

    def _pairs(self, group: Group, scene: Scene, time: int, segment: str) -> tuple[Outcomes, Outcomes] | None:
        champion = group.reference.champion
        if champion is None or champion == scene.version:
            return None
        rows = WindowRows(
            lambda keys: self._windows.rows(
                RowQuery(scene.model, [(scene.start, scene.end)], keys, known_by=time, with_ids=True)
            )
        )
        block, theirs = rows.select(champion, segment)
        return matched(block, theirs, rows.select(scene.version, segment)[1])

    def _revise(self, group: Group, rule: PerformanceRule, scene: Scene, ripe: RipeWindows) -> None:
        """Look again at the past windows of which more is known now, and note what is seen."""
        key = (group.name, rule.alert, scene.model, scene.version)
        if not self._revisions.knows(key):
            whole = alert_id(group.name, rule.alert, Target(scene.model, scene.version))
            self._revisions.remember(key, self._store.last_revisions(whole))
        due = list(self._revisions.due(key, group, ripe, scene.end, self._horizon_ns))
        ripe.read([window.start for window in due], group.window, rule.segments)
        for window in due:
            judged = [(rule, v) for v in self._outcomes_in(group, rule, scene, ripe, window.start, window.end)]
            known = ripe.between(scene.version, window.start, window.end, rule.segments)
            for _, verdict in correct(judged, group.interval):  # type: ignore[arg-type]
                seen = known.get(verdict.target.segment)
                if seen is not None and seen.performance.with_truth:
                    self._revised.append(
                        RevisionRow(
                            alert=alert_id(group.name, rule.alert, verdict.target),
                            start=window.start,
                            end=window.end,
                            known=scene.end,
                            predictions=seen.rows,
                            with_truth=seen.performance.with_truth,
                            maturity=verdict.result.maturity,
                            status=verdict.result.status,
                            value=verdict.result.value,
                            low=verdict.result.low,
                            high=verdict.result.high,
                        )
                    )

    def _traffic(self, model: str, name: str, version: str, first: int, last: int) -> tuple[Any, Any, int]:
        totals = self._windows.totals(WindowQuery(model, name, first, last, known_by=last))
        mine = totals.filter(pc.equal(totals["version"], version)) if totals.num_rows else totals
        if not mine.num_rows:
            return np.zeros(0, np.int64), np.zeros(0, np.int64), self._windows.pane_ns
        panes, index = np.unique(mine["pane"].to_numpy(), return_inverse=True)
        rows = np.bincount(index.reshape(-1), weights=mine["rows"].to_numpy()).astype(np.int64)
        return panes, rows, self._windows.pane_ns

    def _of(self, model: str) -> dict[str, Alert]:
        with self._lock:
            return {k: a for k, a in self._alerts.items() if a.target.model == model}

    def _adopt(self, groups: set[str], known: Mapping[str, Alert], fresh: dict[str, Alert], time: int) -> list[Alert]:
        """Put the new alerts in force, those of other groups that they explain (or no longer do) with them."""
        gone = [key for key, alert in known.items() if alert.group in groups and key not in fresh]
        now = {k: a for k, a in known.items() if a.group not in groups} | fresh
        explained = causes(now.values())
        now = {k: a if a.cause == explained.get(k, "") else _caused(a, explained.get(k, "")) for k, a in now.items()}
        changed: list[Alert] = []
        for key, alert in now.items():
            before = known.get(key)
            if before is not None and before.phase == alert.phase == "firing" and before.labels != alert.labels:
                changed += [_ended(before, time), alert]  # another severity: outside, that is another alert
            elif before is not None and (before.phase, alert.phase) == ("firing", "suppressed"):
                changed += [_ended(before, time), alert]  # whoever was told of it hears that it is no news of its own
            elif alert.phase != (before.phase if before else "inactive"):
                changed.append(alert)
        changed += [_ended(known[key], time) for key in gone if known[key].phase == "firing"]
        with self._lock:
            for key in gone:
                del self._alerts[key]
            self._alerts.update(now)
        written = {k: a for k, a in now.items() if k in fresh or a is not known.get(k)}
        active = {k: alert_to_document(a) for k, a in written.items() if a.state != AlertState()}
        mine = {k: a for k, a in known.items() if a.group in groups}
        idle = [k for k, a in mine.items() if k not in active and (a.state != AlertState() or k in gone)]
        verdicts = [
            VerdictRow(
                k, a.verdict.end, a.verdict.result.status, a.verdict.result.value, a.verdict.result.threshold, time
            )
            for k, a in fresh.items()
        ]
        self._store.record_tick(active, idle, verdicts, self._revised)
        self._revised = []
        return changed


def _selects(rules: Sequence[Rule]) -> Callable[[str], bool] | None:
    """Which fields these rules look at; None: it may be any of them."""
    chosen = [rule.selects for rule in rules if isinstance(rule, FieldRule)]
    return None if len(chosen) < len(rules) else lambda name: any(selects(name) for selects in chosen)


def _next(rule: Rule, state: AlertState, verdict: Verdict, time: int) -> AlertState:
    return step(
        state, verdict.result.status, time,
        for_ns=rule.for_, keep_firing_for_ns=rule.keep_firing_for, on_no_data=rule.no_data,
    )  # fmt: skip


def _caused(alert: Alert, cause: str) -> Alert:
    """With its cause; what is over keeps the one that it had."""
    return alert if alert.state.phase == "inactive" else replace(alert, cause=cause)


def _ended(alert: Alert, time: int = 0) -> Alert:
    state = replace(alert.state, phase="inactive", resolved_at=time or alert.verdict.end)
    return replace(alert, state=state)
