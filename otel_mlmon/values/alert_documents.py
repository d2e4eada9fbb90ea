"""Alerts and verdicts as JSON-able data: the spelling of the store's documents and of the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final

from otel_mlmon.values.alerts import Alert
from otel_mlmon.values.documents import from_document
from otel_mlmon.values.evidence_documents import evidence_from_document, evidence_to_document
from otel_mlmon.values.verdicts import CheckResult, Verdict

# The documents hold a verdict's window between the reason and the value.
_BEFORE_WINDOW: Final = ("status", "reason")
_NOT_WRITTEN: Final = {"low": None, "high": None, "coverage": None, "maturity": ""}
_IN_EVIDENCE: Final = ("last_breach", "configured")


def verdict_to_document(verdict: Verdict) -> dict[str, Any]:
    """Return target, window and result in one flat mapping."""
    result = {field.name: getattr(verdict.result, field.name) for field in fields(CheckResult)}
    result["evidence"] = evidence_to_document(verdict.result.evidence)
    first = {name: result.pop(name) for name in _BEFORE_WINDOW}
    return {"target": asdict(verdict.target), **first, "start": verdict.start, "end": verdict.end, **result}


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
    plain = {field.name: getattr(alert, field.name) for field in fields(Alert) if field.name not in _IN_EVIDENCE}
    return {**plain, "target": asdict(alert.target), "state": asdict(alert.state), "verdict": verdict}


def alert_from_document(id_: str, document: Mapping[str, Any]) -> Alert:
    """Read a document of `alert_to_document`."""
    written = document["verdict"]
    evidence = dict(written["evidence"])
    configured, breach = evidence.pop("rule", {}), evidence.pop("breach", None)
    result = {**written, "evidence": evidence_from_document(document["check"], evidence)}
    verdict = {**written, "target": document["target"], "result": result}
    if breach is not None:
        # Earlier versions wrote a breach without its interval and coverage.
        newest = (breach.get("start"), breach.get("end")) == (written["start"], written["end"])
        breach = {**verdict, **breach, "result": {**result, **({} if newest else _NOT_WRITTEN), **breach}}
    alert = {**document, "id": id_, "verdict": verdict, "last_breach": breach, "configured": configured}
    return from_document(Alert, alert)
