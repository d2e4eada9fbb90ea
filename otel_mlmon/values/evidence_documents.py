"""Evidence as JSON-able data: the spelling of the store's documents and of the HTTP API.

The documents have no tag; the keys tell the kind. The reader takes a missing or malformed part as empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from otel_mlmon.values.documents import from_document
from otel_mlmon.values.evidence import (
    BudgetEvidence,
    EstimateEvidence,
    Evidence,
    FairnessEvidence,
    FieldEvidence,
    ParityEvidence,
    PerformanceEvidence,
    SchemaEvidence,
    SliceEvidence,
)

_LEFT_OUT_IF_EMPTY: Final[Mapping[type[Evidence], tuple[str, ...]]] = {
    FieldEvidence: ("distribution", "segments"),
    EstimateEvidence: ("numbers",),
    PerformanceEvidence: ("numbers", "selection", "shift"),
}


def evidence_to_document(evidence: Evidence | None) -> dict[str, Any]:
    """Return the evidence's document, {} for None."""
    if evidence is None:
        return {}
    document = asdict(evidence)
    if isinstance(evidence, BudgetEvidence):
        return {"budget": document}
    if isinstance(evidence, FieldEvidence):
        document["segments"] = [[s.segment, s.value, s.rows] for s in evidence.segments]
    for part in document.get("slices", ()):
        if part["worse"] is None:  # the slices of parity have neither
            del part["conditions"], part["worse"]
    for name in ("selection", "shift"):
        if part := document.get(name):
            document[name] = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in part.items()}
    for name in _LEFT_OUT_IF_EMPTY.get(type(evidence), ()):
        if not document[name]:
            del document[name]
    return document


def evidence_from_document(check: str, document: Mapping[str, Any]) -> Evidence | None:
    """Read a document of `evidence_to_document`; `check` is the family of the rule."""
    if not document:
        return None
    kind = _kind(check, document)
    if kind is BudgetEvidence:
        return from_document(kind, document.get("budget"))
    if kind is FieldEvidence and isinstance(segments := document.get("segments"), list):
        named = [dict(zip(("segment", "value", "rows"), s, strict=False)) for s in segments if isinstance(s, list)]
        document = {**document, "segments": named}
    return from_document(kind, document)


def _kind(check: str, document: Mapping[str, Any]) -> type[Evidence]:
    if check == "budget" or "budget" in document:
        return BudgetEvidence
    if check == "estimate" or "ledger" in document:
        return EstimateEvidence
    if check == "performance":
        return PerformanceEvidence
    if check == "parity" or "size" in document:
        return ParityEvidence
    if "fields" in document:
        return SchemaEvidence
    if "slices" in document:
        return SliceEvidence
    return FairnessEvidence if check == "fairness" else FieldEvidence
