"""An explanation that goes through JSON is the same."""

from __future__ import annotations

import json
from dataclasses import replace

from otel_mlmon.values import CheckResult
from otel_mlmon.values.evidence import EstimatedWindow
from otel_mlmon.values.explanation import (
    Explanation,
    Fired,
    GroundTruthFigures,
    History,
    Note,
    Part,
    PastVerdict,
    Where,
)
from otel_mlmon.values.explanation_documents import explanation_from_json, explanation_to_json
from otel_mlmon.values.history import RevisionRow

RESULT = CheckResult(
    "breach",
    "beyond_threshold",
    value=0.4,
    threshold=0.2,
    p_value=1e-9,
    rows=10,
    reference_rows=20,
    message="psi 0.4",
    finding="shift",
)
FIRED = Fired(
    phase="firing",
    status="breach",
    reason="beyond_threshold",
    since=1,
    fired_at=2,
    resolved_at=0,
    start=0,
    end=3,
    result=RESULT,
    confidence=0.95,
    notes=(Note("covariate drift", "the inputs", {"share": 0.9}),),
)
REVISION = RevisionRow("", 0, 3, 4, 10, 5, "final", "breach", 0.4, 0.3, 0.5)
EXPLANATION = Explanation(
    alert="id",
    group="g",
    rule="Rule",
    check="drift",
    method="psi",
    model="m",
    version="1",
    segment="",
    field="x",
    fired=FIRED,
    where=Where("share", 10, None, 0.5, (Part("town = c", (("town", "= c"),), 5, 0.9, 0.5),)),
    features=None,
    changes=None,
    examples=None,
    history=History((PastVerdict(3, 0.4, 0.2, "breach"),), "above", (), (REVISION,)),
    outcomes=GroundTruthFigures((), 0, (), (EstimatedWindow(0, 3, 5.0, 4.0, 6.0, None),)),
    missing=("features (out of time)",),
)


def test_an_explanation_from_json_is_the_same() -> None:
    assert explanation_from_json(json.loads(json.dumps(explanation_to_json(EXPLANATION)))) == EXPLANATION


def test_missing_keys_take_their_defaults() -> None:
    document = explanation_to_json(EXPLANATION)
    for name in ("outcomes", "missing", "read_rows"):
        del document[name]
    del document["fired"]["notes"]
    assert explanation_from_json(document) == replace(
        EXPLANATION, outcomes=None, missing=(), fired=replace(FIRED, notes=())
    )


def test_the_document_has_the_figures_of_the_result_without_its_evidence() -> None:
    fired = explanation_to_json(EXPLANATION)["fired"]
    assert list(fired) == [
        "phase",
        "status",
        "reason",
        "message",
        "finding",
        "since",
        "fired_at",
        "resolved_at",
        "start",
        "end",
        "value",
        "low",
        "high",
        "threshold",
        "p_value",
        "q_value",
        "confidence",
        "rows",
        "reference_rows",
        "coverage",
        "maturity",
        "notes",
    ]
    (revision,) = explanation_to_json(EXPLANATION)["history"]["revisions"]
    assert (revision["coverage"], revision["maturity"], "alert" in revision) == (0.5, "final", False)
