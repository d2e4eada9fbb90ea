"""Alerts and verdicts as JSON-able data: the spelling of the store's documents and of the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from otel_mlmon.values.alerts import Alert, AlertState
from otel_mlmon.values.evidence_documents import evidence_from_document, evidence_to_document
from otel_mlmon.values.verdicts import CheckResult, Target, Verdict

# The documents hold a verdict's window between the reason and the value.
_BEFORE_WINDOW: Final = ("status", "reason")
_NOT_WRITTEN: Final = {"low": None, "high": None, "coverage": None, "maturity": ""}
_RESULT_FIELDS: Final = tuple(field.name for field in fields(CheckResult))


def verdict_to_document(verdict: Verdict) -> dict[str, Any]:
    """Return target, window and result in one flat mapping."""
    result = {name: getattr(verdict.result, name) for name in _RESULT_FIELDS}
    result["evidence"] = evidence_to_document(verdict.result.evidence)
    first = {name: result.pop(name) for name in _BEFORE_WINDOW}
    return {"target": asdict(verdict.target), **first, "start": verdict.start, "end": verdict.end, **result}


def verdict_from_document(check: str, document: Mapping[str, Any]) -> Verdict:
    """Read a document of `verdict_to_document`; `check` is the family of the rule."""
    result = {name: document[name] for name in _RESULT_FIELDS if name in document}
    result["evidence"] = evidence_from_document(check, document["evidence"])
    return Verdict(Target(**document["target"]), document["start"], document["end"], CheckResult(**result))


def alert_to_document(alert: Alert) -> dict[str, Any]:
    """Return the alert as the store keeps it: the evidence also holds the rule as configured and the last breach."""
    document = alert_to_json(alert)
    if alert.last_breach is not None:
        last = verdict_to_document(alert.last_breach)
        document["verdict"]["evidence"]["breach"] = {k: v for k, v in last.items() if k not in ("target", "evidence")}
    return document


def alert_to_json(alert: Alert) -> dict[str, Any]:
    """Return the alert as the HTTP API answers it: the evidence also holds the rule as configured."""
    verdict = verdict_to_document(alert.verdict)
    if alert.configured:
        verdict["evidence"]["rule"] = dict(alert.configured)
    return {
        "id": alert.id,
        "group": alert.group,
        "rule": alert.rule,
        "check": alert.check,
        "method": alert.method,
        "target": asdict(alert.target),
        "state": asdict(alert.state),
        "verdict": verdict,
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "cause": alert.cause,
    }


def alert_from_document(id_: str, document: Mapping[str, Any]) -> Alert:
    """Read a document of `alert_to_document`."""
    evidence = dict(document["verdict"]["evidence"])
    configured, breach = evidence.pop("rule", {}), evidence.pop("breach", None)
    verdict = {**document["verdict"], "target": document["target"], "evidence": evidence}
    return Alert(
        id=id_,
        group=document["group"],
        rule=document["rule"],
        check=document["check"],
        method=document["method"],
        target=Target(**document["target"]),
        state=AlertState(**document["state"]),
        verdict=verdict_from_document(document["check"], verdict),
        labels=document["labels"],
        annotations=document["annotations"],
        cause=document.get("cause", ""),
        last_breach=None if breach is None else verdict_from_document(document["check"], _last_breach(verdict, breach)),
        configured=configured,
    )


def _last_breach(verdict: Mapping[str, Any], breach: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a breach that an earlier version wrote without its interval and coverage."""
    if (breach.get("start"), breach.get("end")) == (verdict["start"], verdict["end"]):
        return {**verdict, **breach}
    return {**verdict, **_NOT_WRITTEN, **breach}
