"""Causes before symptoms: which alert explains which other one. Pure.

A field that is dropped, retyped or in another unit also drifts, moves the predictions and costs accuracy. That is one
incident; the person on call is notified of the cause, and finds the rest under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values import Alert
from otel_mlmon.values.evidence import ParityEvidence, SchemaEvidence

# From cause to symptom: a fault explains every fault to its right, on the same field.
_ORDER: Final = ("schema", "missing", "type", "stuck", "format", "default_value", "range", "unit")
_DRIFT: Final = len(_ORDER)
_OUTPUT: Final = _DRIFT + 2  # from here on outputs: first their faults, then their drift
_OUTPUT_DRIFT: Final = _OUTPUT + 1
_PARITY: Final = _OUTPUT - 0.5
_PERFORMANCE: Final = _OUTPUT + 2
_ABOUT_OUTCOMES: Final = frozenset({"performance", "estimate", "fairness", "slices", "budget"})
# Share of the rows that a fault of a feature must affect to explain that the model does worse.
_ENOUGH_ROWS: Final = 0.05
_SEVERITIES: Final = {"info": 0, "warning": 1, "error": 2, "critical": 3, "page": 3}
_CLEAR_ROWS: Final = 100  # rows of a segment from which on its being in order says something
_ASIDE: Final = frozenset({"volume", "freshness", "latency", "duplicates", "expression"})


def causes(alerts: Iterable[Alert]) -> dict[str, str]:
    """Return the explaining alert's id by the explained one's, both of one model version; a root is no key."""
    every = list(alerts)
    clear = _clear_segments(every)
    alive = [replace(a, verdict=a.decisive) for a in every if a.state.phase != "inactive" or a.state.last_breach]
    explaining: dict[str, str] = {}
    for symptom in alive:
        if symptom.state.phase == "inactive":
            continue
        explain = [cause for cause in alive if _explains(cause, symptom, clear)]
        if explain:
            explaining[symptom.id] = min(
                explain, key=lambda cause: (_rank(cause), bool(cause.target.segment), cause.id)
            ).id
    by_id = {alert.id: alert for alert in alive}
    roots = {symptom: _root(cause, explaining) for symptom, cause in explaining.items()}
    return {symptom: root for symptom, root in roots.items() if not _outranks(by_id[symptom], by_id[root])}


def _root(cause: str, explaining: Mapping[str, str]) -> str:
    seen = {cause}
    while cause in explaining and explaining[cause] not in seen:
        cause = explaining[cause]
        seen.add(cause)
    return cause


def _rank(alert: Alert) -> float:
    output = bool(alert.target.field) and output_name(alert.target.field) is not None
    if alert.check in _ABOUT_OUTCOMES:
        return _PERFORMANCE
    if alert.check == "parity":
        return _PARITY + (0.1 if alert.method == "size" else 0.0)
    if alert.check == "drift":
        return _OUTPUT_DRIFT if output else _DRIFT + (0 if alert.target.field else 1)
    if alert.method not in _ORDER:
        return _DRIFT
    place = _ORDER.index(alert.method)
    if alert.verdict.result.finding in ("unit", "sign"):  # it explains a change of type, of format, and new values
        return (_OUTPUT + 0.15 if output else 1.5) + place / 100
    # A distribution that has moved as a whole reaches beyond its range; the drift is the news.
    if alert.verdict.result.finding == "shift":
        return (_OUTPUT_DRIFT if output else _DRIFT) + 0.5
    return _OUTPUT + place / 10 if output else place


def _explains(cause: Alert, symptom: Alert, clear: Mapping[tuple[str, str, str], set[str]]) -> bool:
    if not _may_explain(cause, symptom):
        return False
    if (cause.group, cause.rule, cause.target.field) == (symptom.group, symptom.rule, symptom.target.field):
        return _whole_and_segment(cause, symptom, clear)
    if not _same_rows(cause, symptom) or not _rank(cause) < _rank(symptom):
        return False
    if "parity" in (cause.check, symptom.check):
        return _other_model_explains(cause, symptom)
    if cause.method == "schema":
        return _schema_explains(cause, symptom)
    if cause.target.field and cause.target.field == symptom.target.field:
        return True
    return _fault_explains(cause, symptom)


def _may_explain(cause: Alert, symptom: Alert) -> bool:
    """Whether they are two alerts about the data or the model of one version, at the same time, the cause as severe."""
    about_data = cause.method not in _ASIDE and symptom.method not in _ASIDE
    same_version = cause.target.version == symptom.target.version
    together = cause.id != symptom.id and about_data and same_version and _at_the_same_time(cause, symptom)
    return together and not _outranks(symptom, cause)


def _other_model_explains(cause: Alert, symptom: Alert) -> bool:
    """Both models have the same inputs, so no fault of the inputs explains that they differ.

    Another model explains everything about its outputs, if its predictions are different enough.
    """
    evidence = cause.verdict.result.evidence
    different = isinstance(evidence, ParityEvidence) and evidence.size >= _ENOUGH_ROWS
    return cause.check == "parity" and (symptom.check == "parity" or (different and _rank(symptom) >= _OUTPUT))


def _schema_explains(cause: Alert, symptom: Alert) -> bool:
    evidence = cause.verdict.result.evidence
    fields = evidence.fields if isinstance(evidence, SchemaEvidence) else ()
    return not symptom.target.field or symptom.target.field in fields or _rank(symptom) >= _OUTPUT


def _fault_explains(cause: Alert, symptom: Alert) -> bool:
    """Whether a fault of one field explains an alert on another field, or on the model."""
    if _rank(symptom) == _PERFORMANCE:
        affected = cause.verdict.result.value or 0.0
        return cause.check == "integrity" and _rank(cause) != _DRIFT + 0.5 and affected >= _ENOUGH_ROWS
    if _rank(cause) >= _OUTPUT or (symptom.target.field and _rank(symptom) < _OUTPUT):
        return False  # of two features, neither explains the other
    return _rank(cause) < _DRIFT or _rank(symptom) >= _OUTPUT_DRIFT or not symptom.target.field


def _outranks(symptom: Alert, cause: Alert) -> bool:
    """A warning about one field does not suppress a critical alert about another field."""
    return cause.target.field != symptom.target.field and _severity(cause) < _severity(symptom)


def _severity(alert: Alert) -> float:
    """As labelled. An alert without a known severity may explain any other, and be explained by any other."""
    return _SEVERITIES.get(alert.labels.get("severity", ""), float("nan"))


def _at_the_same_time(cause: Alert, symptom: Alert) -> bool:
    """Whether the cause was there within the symptom's window; it may be over by now."""
    last = cause.verdict.end if cause.state.phase != "inactive" else cause.state.last_breach
    return last > symptom.verdict.start and cause.state.since - _window(cause) < symptom.verdict.end


def _window(alert: Alert) -> int:
    return alert.verdict.end - alert.verdict.start


def _same_rows(cause: Alert, symptom: Alert) -> bool:
    one, other = cause.target.segment, symptom.target.segment
    return one == other or not one or not other


def _clear_segments(alerts: Iterable[Alert]) -> dict[tuple[str, str, str], set[str]]:
    """Segment keys by (group, rule, field) with at least one value that is clearly in order."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for alert in alerts:
        verdict = alert.verdict
        if alert.target.segment and alert.state.phase == "inactive" and verdict.result.reason == "within_threshold":
            # A metric is as large as the model's errors are; a share is clearly fine up to half of its threshold.
            fine = (
                alert.check in _ABOUT_OUTCOMES or (verdict.result.value or 0.0) <= (verdict.result.threshold or 0.0) / 2
            )
            if verdict.result.rows >= _CLEAR_ROWS and verdict.result.value is not None and fine:
                key = alert.target.segment.partition("=")[0]
                found.setdefault((alert.group, alert.rule, alert.target.field), set()).add(key)
    return found


def _whole_and_segment(cause: Alert, symptom: Alert, clear: Mapping[tuple[str, str, str], set[str]]) -> bool:
    """One rule on one field: where all segments have it, the whole is the news; where only some do, they are."""
    keys = clear.get((cause.group, cause.rule, cause.target.field), set())
    if not symptom.target.segment and cause.target.segment:
        return cause.target.segment.partition("=")[0] in keys and cause.state.phase != "inactive"
    if symptom.target.segment and not cause.target.segment:
        return symptom.target.segment.partition("=")[0] not in keys
    return False
