"""A verdict and a state as an alert: its id, labels, texts; and its form on disk."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from typing import Any

from otel_mlmon.rulefile import Group, Rule, format_duration, render
from otel_mlmon.values import Alert, AlertState, Target, Verdict

_log = logging.getLogger(__name__)


LAST_BREACH = (
    "status",
    "reason",
    "start",
    "end",
    "value",
    "threshold",
    "p_value",
    "q_value",
    "rows",
    "reference_rows",
    "message",
    "finding",
    "level",
    "low",
    "high",
    "coverage",
    "maturity",
)


def as_shown(alert: Alert) -> Alert:
    """The alert as people want to see it: of what is over, with the verdict that it last fired for."""
    evidence = {name: part for name, part in alert.verdict.evidence.items() if name != "breach"}
    breach = alert.verdict.evidence.get("breach", {}) if alert.state.resolved_at else {}
    return replace(alert, verdict=replace(alert.verdict, evidence=evidence, **breach))


def alert_id(group: str, rule: str, target: Target) -> str:
    """Stable over restarts and reloads: the same rule on the same target is the same alert."""
    key = json.dumps([group, rule, target.model, target.version, target.segment, target.field])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def alert_for(group: Group, rule: Rule, id_: str, state: AlertState, verdict: Verdict, before: Alert | None) -> Alert:
    """The alert as it is after a verdict.

    While it goes on firing without a new breach, and after it was resolved, it keeps the evidence of its last breach.
    """
    lasting = before is not None and verdict.status != "breach" and (state.phase == "firing" or state.resolved_at)
    annotations = before.annotations if lasting and before is not None else _annotations(rule, verdict)
    shown, labels = verdict, dict(rule.labels)
    if verdict.level:
        labels["severity"] = verdict.level
    elif lasting and before is not None:
        labels = dict(before.labels)
    if verdict.status == "breach":
        last = {name: getattr(verdict, name) for name in LAST_BREACH}
        shown = replace(verdict, evidence={**verdict.evidence, "rule": _as_configured(group, rule), "breach": last})
    elif lasting and before is not None:
        shown = replace(verdict, evidence=before.verdict.evidence)
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
    if verdict.status != "breach":
        return {}
    target = verdict.target
    values = {
        "feature": target.field,
        "value": verdict.value,
        "threshold": verdict.threshold,
        "model": target.model,
        "version": target.version,
        "segment": target.segment,
        "rows": verdict.rows,
        "p_value": verdict.p_value,
        "finding": verdict.finding,
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


def alert_to_document(alert: Alert) -> dict[str, Any]:
    """Plain data for the store."""
    return asdict(alert)


def alert_from_document(id_: str, body: dict[str, Any]) -> Alert:
    """What `alert_to_document` wrote."""
    verdict = {**body["verdict"], "target": Target(**body["target"])}
    return Alert(
        id=id_,
        group=body["group"],
        rule=body["rule"],
        check=body["check"],
        method=body["method"],
        target=Target(**body["target"]),
        state=AlertState(**body["state"]),
        verdict=Verdict(**verdict),
        labels=body["labels"],
        annotations=body["annotations"],
        cause=body.get("cause", ""),
    )
