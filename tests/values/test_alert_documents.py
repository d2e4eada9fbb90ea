"""Alerts on disk: documents that earlier versions wrote are read, and written again as they were."""

from __future__ import annotations

import json
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest

from otel_mlmon.values.alert_documents import alert_from_document, alert_to_document, alert_to_json
from otel_mlmon.values.evidence import (
    BudgetEvidence,
    EstimateEvidence,
    FairnessEvidence,
    FieldEvidence,
    ParityEvidence,
    PerformanceEvidence,
    SchemaEvidence,
    SliceEvidence,
)

# Written by the version before evidence had types.
DOCUMENTS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "alert_documents.json").read_text())
TYPES = {
    "fairness": FairnessEvidence,
    "budget": BudgetEvidence,
    "performance": PerformanceEvidence,
    "estimate": EstimateEvidence,
    "drift": FieldEvidence,
    "integrity": (FieldEvidence, SchemaEvidence),
    "slices": SliceEvidence,
    "parity": ParityEvidence,
}
each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=[f"{d['check']} {d['method']} {d['verdict']['status']}" for d in DOCUMENTS]
)


@each_document
def test_a_document_is_read_and_written_again_as_it_was(document: dict[str, Any]) -> None:
    alert = alert_from_document(document["id"], document)
    assert json.dumps(alert_to_document(alert)) == json.dumps(document), "the order of the keys too"
    assert alert_from_document(alert.id, json.loads(json.dumps(alert_to_document(alert)))) == alert


@each_document
def test_evidence_has_the_type_of_its_check(document: dict[str, Any]) -> None:
    alert = alert_from_document(document["id"], document)
    evidence = alert.verdict.result.evidence
    if set(document["verdict"]["evidence"]) - {"rule", "breach"}:
        assert isinstance(evidence, TYPES[alert.check])
    else:
        assert evidence is None
    assert alert.last_breach is not None
    assert alert.last_breach.result.status == "breach"
    assert alert.last_breach.result.evidence == evidence
    assert alert.configured == document["verdict"]["evidence"]["rule"]


def test_every_check_with_evidence_has_a_document() -> None:
    assert {document["check"] for document in DOCUMENTS} == set(TYPES)
    keys = {key for document in DOCUMENTS for key in document["verdict"]["evidence"]}
    assert keys >= {
        "distribution",
        "fields",
        "ledger",
        "selection",
        "shift",
        "slices",
        "segments",
        "examples",
        "budget",
    }


@each_document
def test_the_api_shows_no_breach_beside_the_verdict(document: dict[str, Any]) -> None:
    shown = alert_to_json(alert_from_document(document["id"], document))
    expected = json.loads(json.dumps(document))
    del expected["verdict"]["evidence"]["breach"]
    assert json.dumps(shown) == json.dumps(expected)


def test_a_breach_without_an_interval_does_not_take_that_of_the_newest_verdict() -> None:
    document = json.loads(json.dumps(next(d for d in DOCUMENTS if d["check"] == "performance")))
    breach = document["verdict"]["evidence"]["breach"]
    for name in ("low", "high", "coverage", "maturity"):
        del breach[name]
    document["verdict"] |= {"status": "ok", "low": 1.0, "high": 2.0}
    same = alert_from_document("id", document).last_breach
    assert same is not None
    assert (same.result.low, same.result.high) == (1.0, 2.0), "of the same window"
    breach["end"] -= 1
    other = alert_from_document("id", document).last_breach
    assert other is not None
    assert (other.result.low, other.result.high, other.result.coverage, other.result.maturity) == (None, None, None, "")


@each_document
@pytest.mark.parametrize("malformed", [None, "x", 5, True, [], [5], {}, {"rows": []}])
def test_a_malformed_part_is_read_as_empty(document: dict[str, Any], malformed: Any) -> None:
    for path in ((), ("verdict",), ("verdict", "evidence")):
        for name in reduce(getitem, path, document).keys() - {"check", "verdict", "evidence", "rule", "breach"}:
            changed = json.loads(json.dumps(document))
            reduce(getitem, path, changed)[name] = malformed
            json.dumps(alert_to_document(alert_from_document("id", changed)))
