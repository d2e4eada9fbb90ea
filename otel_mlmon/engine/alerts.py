"""Alerts: verdicts move them on, causes suppress their symptoms, the store keeps them."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from otel_mlmon.engine.causes import causes
from otel_mlmon.rulefile import Group, RuleBase, format_duration, render
from otel_mlmon.values import Alert, AlertState, Target, Verdict
from otel_mlmon.values.alert_documents import alert_from_document, alert_to_document
from otel_mlmon.values.alert_state import step
from otel_mlmon.values.history import RevisionRow, TickRecord, VerdictRow
from otel_mlmon.values.storage import TickStorage

_log = logging.getLogger(__name__)


def as_shown(alert: Alert) -> Alert:
    """Return the alert for display; a resolved alert keeps its last breach."""
    return replace(alert, verdict=alert.decisive) if alert.state.resolved_at else alert


def alert_id(group: str, rule: str, target: Target) -> str:
    """Stable over restarts and reloads: the same rule on the same target is the same alert."""
    key = json.dumps([group, rule, target.model, target.version, target.segment, target.field])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def alert_after(group: Group, rule: RuleBase, verdict: Verdict, before: Alert | None, time: int) -> Alert:
    """Return the alert as it is after a verdict; `before` is the alert until then.

    While it goes on firing without a new breach, and after it was resolved, it keeps the evidence of its last breach.
    """
    state = step(
        before.state if before else AlertState(),
        verdict.result.status,
        time,
        for_ns=rule.for_,
        keep_firing_for_ns=rule.keep_firing_for,
        on_no_data=rule.no_data,
    )
    kept = before if verdict.result.status != "breach" and (state.phase == "firing" or state.resolved_at) else None
    labels = dict(rule.labels)
    if verdict.result.level:
        labels["severity"] = verdict.result.level
    elif kept is not None:
        labels = dict(kept.labels)
    alert = Alert(
        id=alert_id(group.name, rule.alert, verdict.target),
        group=group.name,
        rule=rule.alert,
        check=rule.family,
        method=rule.method,
        target=verdict.target,
        state=state,
        verdict=verdict,
        labels=labels,
        annotations=_annotations(rule, verdict),
        cause=before.cause if before is not None and state.phase == "inactive" and state.resolved_at else "",
    )
    if verdict.result.status == "breach":
        return replace(alert, last_breach=verdict, configured=_as_configured(group, rule))
    if kept is None:
        return alert
    return replace(
        alert,
        verdict=replace(verdict, result=replace(verdict.result, evidence=kept.verdict.result.evidence)),
        annotations=kept.annotations,
        last_breach=kept.last_breach,
        configured=kept.configured,
    )


def _annotations(rule: RuleBase, verdict: Verdict) -> dict[str, str]:
    if verdict.result.status != "breach":
        return {}
    target = verdict.target
    values = {
        "feature": target.field,
        "value": verdict.result.value,
        "threshold": verdict.result.threshold,
        "model": target.model,
        "version": target.version,
        "segment": target.segment,
        "rows": verdict.result.rows,
        "p_value": verdict.result.p_value,
        "finding": verdict.result.finding,
        "labels": dict(rule.labels),
    }
    texts = {}
    for name, template in rule.annotations.items():
        try:
            texts[name] = render(template, values)
        except ValueError as error:
            _log.warning("annotation %s of %s: %s", name, rule.alert, error)
            texts[name] = template
    return texts


def _as_configured(group: Group, rule: RuleBase) -> dict[str, Any]:
    body = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"annotations", "labels"})
    for key in ("for", "keep_firing_for"):
        if key in body:
            body[key] = format_duration(body[key])
    return {
        "group": group.name,
        "window": format_duration(group.window),
        "interval": format_duration(group.interval),
        "reference": str(group.reference),
        **body,
    }


class AlertTable:
    """The alerts of all targets, inactive ones included. One thread changes them; any thread may read them."""

    def __init__(self, store: TickStorage) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._alerts = {key: alert_from_document(key, body) for key, body in store.read("alert").items()}

    def all(self) -> list[Alert]:
        """Return every alert."""
        with self._lock:
            return list(self._alerts.values())

    def get(self, id_: str) -> Alert | None:
        """Return one alert by its id."""
        with self._lock:
            return self._alerts.get(id_)

    def of_model(self, model: str) -> dict[str, Alert]:
        """Return the alerts of one model by id."""
        with self._lock:
            return {k: a for k, a in self._alerts.items() if a.target.model == model}

    def keep_only(self, rules: set[tuple[str, str]]) -> list[Alert]:
        """Forget all but these (group, rule); return the forgotten alerts that were firing, as resolved."""
        with self._lock:
            gone = [a for a in self._alerts.values() if (a.group, a.rule) not in rules]
            for alert in gone:
                del self._alerts[alert.id]
        self._store.put("alert", {}, gone=[alert.id for alert in gone])
        return [_ended(alert) for alert in gone if alert.phase == "firing"]

    def adopt(
        self,
        groups: set[str],
        known: Mapping[str, Alert],
        fresh: Mapping[str, Alert],
        revisions: Sequence[RevisionRow],
        time: int,
    ) -> list[Alert]:
        """Put the new alerts of these groups in force and store them; return the alerts whose phase changed.

        `known` are all alerts of the model before, `fresh` those of the groups now. Alerts of other groups change too,
        where a new alert explains them, or no longer does.
        """
        gone = [key for key, alert in known.items() if alert.group in groups and key not in fresh]
        now = _explained({k: a for k, a in known.items() if a.group not in groups} | dict(fresh))
        with self._lock:
            for key in gone:
                del self._alerts[key]
            self._alerts.update(now)
        written = {k: a for k, a in now.items() if k in fresh or a is not known.get(k)}
        active = {k: alert_to_document(a) for k, a in written.items() if a.state != AlertState()}
        mine = {k: a for k, a in known.items() if a.group in groups}
        idle = [k for k, a in mine.items() if k not in active and (a.state != AlertState() or k in gone)]
        verdicts = [_row(alert, time) for alert in fresh.values()]
        self._store.record_tick(TickRecord(active, idle, verdicts, revisions))
        return [*_changes(known, now, time), *(_ended(known[k], time) for k in gone if known[k].phase == "firing")]


def _explained(alerts: Mapping[str, Alert]) -> dict[str, Alert]:
    """All alerts, each with its cause as of now; one that is over keeps the cause that it had."""
    explained = causes(alerts.values())
    return {
        key: alert
        if alert.cause == explained.get(key, "") or alert.state.phase == "inactive"
        else replace(alert, cause=explained.get(key, ""))
        for key, alert in alerts.items()
    }


def _changes(known: Mapping[str, Alert], now: Mapping[str, Alert], time: int) -> Iterable[Alert]:
    """Alerts whose phase changed. For receivers, other labels make another alert, and a suppressed one ends."""
    for key, alert in now.items():
        before = known.get(key)
        relabelled = before is not None and before.phase == alert.phase == "firing" and before.labels != alert.labels
        suppressed = before is not None and (before.phase, alert.phase) == ("firing", "suppressed")
        if before is not None and (relabelled or suppressed):
            yield _ended(before, time)
            yield alert
        elif alert.phase != (before.phase if before else "inactive"):
            yield alert


def _row(alert: Alert, time: int) -> VerdictRow:
    result = alert.verdict.result
    return VerdictRow(alert.id, alert.verdict.end, result.status, result.value, result.threshold, time)


def _ended(alert: Alert, time: int = 0) -> Alert:
    state = replace(alert.state, phase="inactive", resolved_at=time or alert.verdict.end)
    return replace(alert, state=state)
