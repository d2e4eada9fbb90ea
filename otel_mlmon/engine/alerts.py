"""Make an alert of a verdict and a state: its id, labels and texts."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from typing import Any

from otel_mlmon.rulefile import Group, Rule, format_duration, render
from otel_mlmon.values import Alert, AlertState, Target, Verdict
from otel_mlmon.values.alert_documents import verdict_to_document

_log = logging.getLogger(__name__)


def as_shown(alert: Alert) -> Alert:
    """Return the alert for display; a resolved alert keeps its last breach."""
    verdict = at_last_breach(alert.verdict) if alert.state.resolved_at else alert.verdict
    evidence = {name: part for name, part in verdict.result.evidence.items() if name != "breach"}
    return replace(alert, verdict=replace(verdict, result=replace(verdict.result, evidence=evidence)))


def at_last_breach(verdict: Verdict) -> Verdict:
    """Return the verdict with the figures of the last breach that it keeps."""
    last = dict(verdict.result.evidence.get("breach", {}))
    start, end = last.pop("start", verdict.start), last.pop("end", verdict.end)
    return Verdict(verdict.target, start, end, replace(verdict.result, **last))


def alert_id(group: str, rule: str, target: Target) -> str:
    """Stable over restarts and reloads: the same rule on the same target is the same alert."""
    key = json.dumps([group, rule, target.model, target.version, target.segment, target.field])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def alert_for(group: Group, rule: Rule, id_: str, state: AlertState, verdict: Verdict, before: Alert | None) -> Alert:
    """The alert as it is after a verdict.

    While it goes on firing without a new breach, and after it was resolved, it keeps the evidence of its last breach.
    """
    lasting = (
        before is not None and verdict.result.status != "breach" and (state.phase == "firing" or state.resolved_at)
    )
    annotations = before.annotations if lasting and before is not None else _annotations(rule, verdict)
    shown, labels = verdict, dict(rule.labels)
    if verdict.result.level:
        labels["severity"] = verdict.result.level
    elif lasting and before is not None:
        labels = dict(before.labels)
    if verdict.result.status == "breach":
        last = {k: v for k, v in verdict_to_document(verdict).items() if k not in ("target", "evidence")}
        evidence = {**verdict.result.evidence, "rule": _as_configured(group, rule), "breach": last}
        shown = replace(verdict, result=replace(verdict.result, evidence=evidence))
    elif lasting and before is not None:
        shown = replace(verdict, result=replace(verdict.result, evidence=before.verdict.result.evidence))
    return Alert(
        id_,
        group.name,
        rule.alert,
        rule.family,
        rule.method,
        verdict.target,
        state,
        shown,
        labels,
        annotations,
        before.cause if before is not None and state.phase == "inactive" and state.resolved_at else "",
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
