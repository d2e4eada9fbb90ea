"""Groups of rules at one tick of event time: windows in, alerts out; and the table of all verdicts as of now."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from otel_mlmon.evaluate.alerts import alert_for, alert_from_document, alert_id, alert_to_document
from otel_mlmon.evaluate.ripe import RipeWindows, WindowSource
from otel_mlmon.evaluate.state import step
from otel_mlmon.evaluate.verdicts import OutsideCounter, by_version, judge_fields, judge_performance
from otel_mlmon.rulefile import FieldRule, Group, PerformanceRule, Rule
from otel_mlmon.values import Alert, AlertState, Reference, Target, Verdict, WindowProfile

_log = logging.getLogger(__name__)
VerdictRow = tuple[str, int, str, float | None, float | None]


class AlertStore(Protocol):
    """Where alert states live across restarts."""

    def put(self, kind: str, bodies: Mapping[str, Any], *, gone: Sequence[str] = ()) -> None: ...
    def documents(self, kind: str) -> dict[str, Any]: ...
    def append_verdicts(self, rows: Iterable[VerdictRow]) -> None: ...


@dataclass(slots=True)
class GroupStatus:
    """What the last tick of one group for one model saw."""

    end: int = 0
    rows: dict[tuple[str, str], int] = field(default_factory=dict)  # (version, segment) → rows
    lost: dict[str, int] = field(default_factory=dict)  # version → rows
    coverage: dict[str, float] = field(default_factory=dict)  # version → share with ground truth
    versions: tuple[str, ...] = ()


class Engine:
    """Evaluates. One thread calls `tick`; any thread may look at the results."""

    def __init__(
        self,
        windows: WindowSource,
        reference_for: Callable[[str, str, str], Reference | None],
        store: AlertStore,
        count_outside: OutsideCounter,
        *,
        ground_truth_horizon_ns: int,
    ) -> None:
        self._windows = windows
        self._reference_for = reference_for
        self._store = store
        self._count_outside = count_outside
        self._horizon_ns = ground_truth_horizon_ns
        self._lock = threading.Lock()
        self._alerts: dict[str, Alert] = {}
        for key, body in store.documents("alert").items():
            self._alerts[key] = alert_from_document(key, body)
        self.groups: dict[tuple[str, str], GroupStatus] = {}
        self.failures: dict[tuple[str, str], int] = {}

    def keep_only(self, rules: set[tuple[str, str]]) -> list[Alert]:
        """After a reload: forget alerts whose (group, rule) is gone; returns those that were firing, as resolved."""
        with self._lock:
            gone = [a for a in self._alerts.values() if (a.group, a.rule) not in rules]
            for alert in gone:
                del self._alerts[alert.id]
        self._store.put("alert", {}, gone=[alert.id for alert in gone])
        kept = {group for group, _ in rules}
        self.groups = {key: status for key, status in self.groups.items() if key[0] in kept}
        return [_ended(alert) for alert in gone if alert.state.phase == "firing"]

    def alerts(self) -> list[Alert]:
        """Every target's alert with its last verdict, inactive ones included."""
        with self._lock:
            return list(self._alerts.values())

    def alert(self, id_: str) -> Alert | None:
        """One alert by its id."""
        with self._lock:
            return self._alerts.get(id_)

    def tick(self, group: Group, model: str, time: int) -> list[Alert]:
        """Evaluate a group for one model at event time `time`; returns the alerts whose phase changed."""
        status = self.groups.setdefault((group.name, model), GroupStatus())
        segments = sorted({key for rule in group.rules for key in rule.segments})
        start = time - group.window
        fields = any(isinstance(rule, FieldRule) for rule in group.rules)
        windows = by_version(self._windows.window(model, group.reference, start, time, segments, time, fields=fields))
        ripe = RipeWindows(self._windows, group, model, time, self._horizon_ns)
        status.end = time
        status.versions = tuple(sorted(windows)) or status.versions or ("",)
        status.rows = {(v, s): w.rows for v, by in windows.items() for s, w in by.items()} or dict.fromkeys(
            status.rows, 0
        )
        status.lost = {v: by[""].lost_rows for v, by in windows.items() if "" in by}
        known = self._of(group.name, model)
        fresh: dict[str, Alert] = {}
        for version in status.versions:
            reference = self._reference_for(model, version, group.reference)
            for rule in group.rules:
                verdicts = self._judge(
                    group, rule, version, reference, windows.get(version, {}), ripe, known, model, start, time, status
                )
                for verdict in verdicts:
                    key = alert_id(group.name, rule.alert, verdict.target)
                    before = known.get(key)
                    state = _next(rule, before.state if before else AlertState(), verdict, time)
                    fresh[key] = alert_for(group, rule, key, state, verdict, before)
        return self._adopt(known, fresh, time)

    def _judge(
        self,
        group: Group,
        rule: Rule,
        version: str,
        reference: Reference | None,
        windows: Mapping[str, WindowProfile],
        ripe: RipeWindows,
        known: Mapping[str, Alert],
        model: str,
        start: int,
        end: int,
        status: GroupStatus,
    ) -> list[Verdict]:
        try:
            if isinstance(rule, PerformanceRule):
                windows, start, end = ripe.newest(rule, version)
                if "" in windows:
                    counts = windows[""].performance
                    status.coverage[version] = counts.with_truth / counts.predictions if counts.predictions else 0.0
                return list(judge_performance(rule, model, version, reference, windows, start, end))
            judged = {
                alert.target.field
                for alert in known.values()
                if alert.rule == rule.alert and alert.target.version == version and alert.target.field
            }
            return list(judge_fields(rule, model, version, reference, windows, start, end, self._count_outside, judged))
        except Exception as error:
            _log.exception("rule %s of group %s failed for model %s", rule.alert, group.name, model)
            self.failures[group.name, rule.alert] = self.failures.get((group.name, rule.alert), 0) + 1
            message = f"{type(error).__name__}: {error}"
            return [Verdict(Target(model, version), "error", "exception", start, end, message=message)]

    def _of(self, group: str, model: str) -> dict[str, Alert]:
        with self._lock:
            return {k: a for k, a in self._alerts.items() if a.group == group and a.target.model == model}

    def _adopt(self, known: Mapping[str, Alert], fresh: dict[str, Alert], time: int) -> list[Alert]:
        changed = [a for k, a in fresh.items() if a.state.phase != (known[k].state.phase if k in known else "inactive")]
        gone = [key for key in known if key not in fresh]
        changed += [_ended(known[key], time) for key in gone if known[key].state.phase == "firing"]
        with self._lock:
            for key in gone:
                del self._alerts[key]
            self._alerts.update(fresh)
        active = {k: alert_to_document(a) for k, a in fresh.items() if a.state != AlertState()}
        idle = [k for k, a in known.items() if k not in active and (a.state != AlertState() or k in gone)]
        self._store.put("alert", active, gone=idle)
        self._store.append_verdicts(
            (k, a.verdict.end, a.verdict.status, a.verdict.value, a.verdict.threshold) for k, a in fresh.items()
        )
        return changed


def _next(rule: Rule, state: AlertState, verdict: Verdict, time: int) -> AlertState:
    return step(
        state, verdict.status, time,
        for_ns=rule.for_, keep_firing_for_ns=rule.keep_firing_for, on_no_data=rule.no_data,
    )  # fmt: skip


def _ended(alert: Alert, time: int = 0) -> Alert:
    state = replace(alert.state, phase="inactive", resolved_at=time or alert.verdict.end)
    return replace(alert, state=state)
