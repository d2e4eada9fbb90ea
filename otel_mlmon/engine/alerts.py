"""Make an alert of a verdict and a state: its id, labels and texts."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from typing import Any

from otel_mlmon.rulefile import Group, Rule, format_duration, render
from otel_mlmon.values import Alert, AlertState, Target, Verdict

_log = logging.getLogger(__name__)


def as_shown(alert: Alert) -> Alert:
    """Return the alert for display; a resolved alert keeps its last breach."""
    return replace(alert, verdict=alert.decisive) if alert.state.resolved_at else alert


def alert_id(group: str, rule: str, target: Target) -> str:
    """Stable over restarts and reloads: the same rule on the same target is the same alert."""
    key = json.dumps([group, rule, target.model, target.version, target.segment, target.field])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def alert_for(group: Group, rule: Rule, id_: str, state: AlertState, verdict: Verdict, before: Alert | None) -> Alert:
    """Return the alert after a verdict.

    While it goes on firing without a new breach, and after it was resolved, it keeps the evidence of its last breach.
    """
    kept = before if verdict.result.status != "breach" and (state.phase == "firing" or state.resolved_at) else None
    labels = dict(rule.labels)
    if verdict.result.level:
        labels["severity"] = verdict.result.level
    elif kept is not None:
        labels = dict(kept.labels)
    alert = Alert(
        id=id_,
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


def _annotations(rule: Rule, verdict: Verdict) -> dict[str, str]:
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
    found = {}
    for name, template in rule.annotations.items():
        try:
            found[name] = render(template, values)
        except ValueError as error:
            _log.warning("annotation %s of %s: %s", name, rule.alert, error)
            found[name] = template
    return found


def _as_configured(group: Group, rule: Rule) -> dict[str, Any]:
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
