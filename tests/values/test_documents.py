"""An explanation that goes through JSON is the same."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from otel_mlmon.values.documents import from_document
from otel_mlmon.values.evidence import EstimatedWindow
from otel_mlmon.values.explanation import Explanation, Fired, History, Note, Outcomes, Part, Tick, Where

FIRED = Fired(
    phase="firing", status="breach", reason="beyond_threshold", message="psi 0.4", finding="shift", since=1, fired_at=2,
    resolved_at=0, start=0, end=3, value=0.4, low=None, high=None, threshold=0.2, p_value=1e-9, q_value=None, confidence=0.95,
    rows=10, reference_rows=20, coverage=None, maturity="", notes=(Note("covariate drift", "the inputs", {"share": 0.9}),),
)  # fmt: skip
EXPLANATION = Explanation(
    alert="id", group="g", rule="Rule", check="drift", method="psi", model="m", version="1", segment="", field="x",
    fired=FIRED,
    where=Where("share", 10, None, 0.5, (Part("town = c", (("town", "= c"),), 5, 0.9, 0.5),)),
    features=None,
    changes=None,
    examples=None,
    history=History((Tick(3, 0.4, 0.2, "breach"),), "above", ()),
    outcomes=Outcomes((), 0, (), (EstimatedWindow(0, 3, 5.0, 4.0, 6.0, None),)),
    missing=("features (out of time)",),
)  # fmt: skip


def test_an_explanation_from_json_is_the_same() -> None:
    assert from_document(Explanation, json.loads(json.dumps(asdict(EXPLANATION)))) == EXPLANATION


def test_missing_keys_take_their_defaults() -> None:
    document = asdict(EXPLANATION)
    for name in ("outcomes", "missing", "read_rows"):
        del document[name]
    del document["fired"]["notes"]
    assert from_document(Explanation, document) == replace(
        EXPLANATION, outcomes=None, missing=(), fired=replace(FIRED, notes=())
    )
