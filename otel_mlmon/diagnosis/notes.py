"""What the figure of a performance rule must be read with: label selection, and whether inputs, outcomes or the model have changed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, get_args

from otel_mlmon.diagnosis.losses import metric_of
from otel_mlmon.diagnosis.selection import Corrigible, selection
from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.diagnosis.subject import Evidence, Subject
from otel_mlmon.values.evidence import PerformanceEvidence, Selection
from otel_mlmon.values.explanation import Note

_KINDS: Final = {
    "model": "another model",
    "concept": "concept drift",
    "covariate": "covariate drift",
    "both": "concept and covariate drift",
}
_ABOUT: Final = frozenset({"performance", "fairness", "slices", "budget"})


def notes(subject: Subject, evidence: Evidence, seed: int) -> list[Note]:
    """Only where they say something; nothing is said of what is as it should be.

    A verdict that says it itself is not asked again.
    """
    alert = subject.alert
    if alert.check not in _ABOUT or alert.method == "integrity" or not len(evidence.known):
        return []
    evidence_of_verdict = alert.verdict.result.evidence
    known = evidence_of_verdict if isinstance(evidence_of_verdict, PerformanceEvidence) else PerformanceEvidence()
    metric = metric_of(subject, evidence)
    shift = known.shift or shift_kind(evidence.block, evidence.known, subject.reference, metric)
    chosen = known.selection
    compared = (
        alert.verdict.result.status == "breach"
        and alert.method in get_args(Corrigible)
        and alert.check == "performance"
    )
    if chosen is None and not compared:
        chosen = _selection(subject, evidence, seed)
    found: list[Note] = []
    name = _KINDS.get(shift.kind)
    if name:
        found.append(Note(name, shift.message, asdict(shift)))
    if chosen is not None and chosen.biased:
        found.append(Note("label selection", chosen.message, asdict(chosen)))
    return found


def _selection(subject: Subject, evidence: Evidence, seed: int) -> Selection:
    method = subject.alert.method
    metric: Corrigible = method if method in get_args(Corrigible) else metric_of(subject, evidence)  # type: ignore[assignment]
    return selection(evidence.block, evidence.rows, subject.reference, metric, seed=seed)
