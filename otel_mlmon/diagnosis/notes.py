"""What the figure of a performance rule must be read with: label selection, and whether inputs, outcomes or the model have changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final, get_args

from otel_mlmon.diagnosis.explanation import Note
from otel_mlmon.diagnosis.losses import metric_of
from otel_mlmon.diagnosis.selection import Corrigible, selection
from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.diagnosis.subject import Evidence, Subject

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
    told = alert.verdict.result.evidence
    shift, chosen = told.get("shift"), told.get("selection")
    if not isinstance(shift, Mapping):
        shift = asdict(shift_kind(evidence.block, evidence.known, subject.reference, metric_of(subject, evidence)))
    judged = (
        alert.verdict.result.status == "breach"
        and alert.method in get_args(Corrigible)
        and alert.check == "performance"
    )
    if not isinstance(chosen, Mapping):
        chosen = {} if judged else _selection(subject, evidence, seed)
    found: list[Note] = []
    name = _KINDS.get(str(shift.get("kind")))
    if name:
        found.append(Note(name, str(shift.get("message")), shift))
    if chosen.get("biased"):
        found.append(Note("label selection", str(chosen.get("message")), chosen))
    return found


def _selection(subject: Subject, evidence: Evidence, seed: int) -> Mapping[str, Any]:
    method = subject.alert.method
    metric: Corrigible = method if method in get_args(Corrigible) else metric_of(subject, evidence)  # type: ignore[assignment]
    return asdict(selection(evidence.block, evidence.rows, subject.reference, metric, seed=seed))
