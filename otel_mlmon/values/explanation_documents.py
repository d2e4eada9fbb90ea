"""Explanations as JSON-able data: the spelling of the HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from otel_mlmon.values.documents import from_document
from otel_mlmon.values.explanation import Explanation, Fired
from otel_mlmon.values.history import RevisionRow

_STATE: Final = ("since", "fired_at", "resolved_at", "start", "end")
_FIGURES: Final = ("value", "low", "high", "threshold", "p_value", "q_value")
_ROWS: Final = ("rows", "reference_rows", "coverage", "maturity")
_RESULT: Final = ("message", "finding", *_FIGURES, *_ROWS)
# The order of the API's keys.
_REVISION: Final = (
    *("start", "end", "known", "predictions", "with_truth", "coverage"),
    *("maturity", "status", "value", "low", "high"),
)


def explanation_to_json(explanation: Explanation) -> dict[str, Any]:
    """Return the document; the figures of the result that fired stand beside its times, without its evidence."""
    fired, history = explanation.fired, explanation.history
    document = asdict(replace(explanation, fired=None, history=None))
    if fired is not None:
        document["fired"] = _fired_document(fired)
    if history is not None:
        revisions = tuple({name: getattr(row, name) for name in _REVISION} for row in history.revisions)
        document["history"] = asdict(replace(history, revisions=())) | {"revisions": revisions}
    return document


def explanation_from_json(document: Mapping[str, Any]) -> Explanation:
    """Read a document of `explanation_to_json`; a missing or malformed part is empty.

    The document has one status and reason, those of the newest verdict: the result takes them.
    """
    fired, history, parts = document.get("fired"), document.get("history"), dict(document)
    if isinstance(fired, Mapping):
        result = {name: fired[name] for name in ("status", "reason", *_RESULT) if name in fired}
        parts["fired"] = {**fired, "result": result}
    if isinstance(history, Mapping):
        rows = [row for row in history.get("revisions") or () if isinstance(row, Mapping)]
        revisions = [[row.get(name) for name in RevisionRow._fields] for row in rows]
        parts["history"] = {**history, "revisions": revisions}
    return from_document(Explanation, parts)


def _fired_document(fired: Fired) -> dict[str, Any]:
    figures = {name: getattr(fired.result, name) for name in _RESULT}
    return {
        "phase": fired.phase,
        "status": fired.status,
        "reason": fired.reason,
        "message": figures.pop("message"),
        "finding": figures.pop("finding"),
        **{name: getattr(fired, name) for name in _STATE},
        **{name: figures.pop(name) for name in _FIGURES},
        "confidence": fired.confidence,
        **figures,
        "notes": tuple(asdict(note) for note in fired.notes),
    }
