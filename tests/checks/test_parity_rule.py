"""Parity rules on stored rows: what fires, how sure, where, and what stays quiet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from otel_mlmon.checks.parity import judge_pairs
from otel_mlmon.engine.causes import causes
from otel_mlmon.ingest.decode import decode
from otel_mlmon.ingest.decode.assemble import prediction_batches
from otel_mlmon.ingest.decode.single import PredictionRow
from otel_mlmon.rulefile import DriftRule, Missing, ParityRule
from otel_mlmon.store import Store
from otel_mlmon.values import Alert, AlertState, CheckResult, RowBlock, Target, Verdict
from otel_mlmon.values.evidence_documents import evidence_from_document, evidence_to_document
from otel_mlmon.values.query import RowQuery
from otel_mlmon.wire import semconv

NOTHING = object()
Model = Callable[[Mapping[str, Any]], Any]


def block(production: Model, intended: Model, n: int = 1_000) -> RowBlock:
    """What the store has after `n` calls; NOTHING is a prediction that is not there."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(n):
        features = {
            "area": float(rng.normal(100, 20)),
            "town": "abcde"[int(rng.integers(5))],
            "rooms": int(rng.integers(1, 5)),
        }
        outputs = {semconv.FIELD_PREDICTION: production(features), semconv.FIELD_SHADOW: intended(features)}
        given = {name: value for name, value in outputs.items() if value is not NOTHING}
        rows.append(PredictionRow("m", "1", f"id{i}", i, {**features, **given}))
    store = Store(None)
    store.commit(prediction_batches(rows), n)
    found = store.rows.read(RowQuery("m", [(0, n)], with_ids=True))
    store.close()
    assert found is not None
    return found


def judged(production: Model, intended: Model, n: int = 1_000, **rule: Any) -> CheckResult:
    rows = block(production, intended, n)
    return judge_pairs(ParityRule(**{"alert": "a", "parity": "rate"} | rule), rows, np.arange(n))


def price(features: Mapping[str, Any]) -> float:
    return 3.0 * float(features["area"]) + 20.0 * int(features["rooms"])


def test_the_same_model_is_in_order_and_the_interval_says_how_sure() -> None:
    found = judged(price, lambda f: price(f) * (1 + 1e-9))
    assert (found.status, found.value, found.low, found.rows) == ("ok", 0.0, 0.0, 1_000)
    assert found.high is not None
    assert 0 < found.high < 0.01


def test_a_town_of_its_own_model_is_named_with_examples() -> None:
    found = judged(lambda f: price(f) + 5 * (f["town"] == "c"), price)
    assert (found.status, found.finding, found.p_value) == ("breach", "disagreement", pytest.approx(0.0))
    assert found.value == pytest.approx(0.2, abs=0.04)
    assert "prediction ≈ shadow + 5" in found.message
    assert [part.where for part in found.evidence.slices] == ["town = c"]
    assert found.evidence.slices[0].value == 1.0
    examples = found.evidence.examples
    assert len(examples) == 10
    for line in examples:
        assert float(line.prediction) - float(line.shadow) == pytest.approx(5)
        assert line.prediction_id == f"id{line.time}"
    json.dumps(evidence_to_document(found.evidence))


def test_a_difference_that_grows_with_a_feature_is_found_on_that_feature() -> None:
    # All predictions differ; the scale of one feature is what is wrong.
    found = judged(lambda f: price(f) + 0.002 * (f["area"] - 80) ** 2 * (f["area"] > 80), price)
    assert found.evidence.slices
    assert all(part.where.startswith("area") for part in found.evidence.slices)


def test_a_few_shadow_calls_that_all_disagree_are_enough_and_one_of_many_is_not() -> None:
    sampled = iter(range(10_000))
    found = judged(lambda f: 1.1 * price(f), lambda f: price(f) if next(sampled) % 200 == 0 else NOTHING)
    assert (found.rows, found.status, found.value) == (5, "breach", 1.0)
    assert found.p_value is not None
    assert found.p_value < 1e-9
    counted = iter(range(10_000))
    found = judged(lambda f: price(f) + (next(counted) == 7), price, n=100, above=0.005)
    assert (found.status, found.value) == ("breach", 0.01)
    assert found.p_value is not None
    assert found.p_value > 0.3
    assert found.evidence.slices == (), "nobody needs to know where, when it may be chance"


def test_too_few_shadows_are_no_data() -> None:
    found = judged(price, lambda f: NOTHING)
    assert (found.status, found.reason) == ("no_data", "no_shadow")
    sampled = iter(range(10_000))
    found = judged(price, lambda f: price(f) if next(sampled) < 4 else NOTHING)
    assert (found.status, found.reason, found.rows) == ("no_data", "too_few_rows", 4)
    assert "4 of 1000 predictions have a shadow" in found.message


def test_calls_without_a_prediction_are_no_disagreement() -> None:
    counted = iter(range(10_000))
    found = judged(lambda f: NOTHING if next(counted) % 2 else price(f), price)
    assert (found.rows, found.value) == (500, 0.0)


def test_the_size_is_relative_to_the_spread_of_the_shadow() -> None:
    rows = block(lambda f: price(f) + 7, price)
    spread = np.std(rows.fields[semconv.FIELD_SHADOW].numbers, ddof=1)  # type: ignore[arg-type]
    found = judged(lambda f: price(f) + 7, price, parity="size", above=0.05)
    assert found.status == "breach"
    assert found.value == pytest.approx(7 / spread)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 7 / spread < found.high
    assert judged(lambda f: price(f) + 7, price, parity="size", above=0.2).status == "ok"


def test_another_factor_is_the_same_everywhere_and_no_place_is_named() -> None:
    found = judged(lambda f: 1.08 * price(f), price)
    assert "prediction ≈ 1.08 × shadow" in found.message
    assert found.evidence.slices == ()


def test_classes_are_compared_as_names() -> None:
    found = judged(lambda f: "high" if f["area"] > 110 else "low", lambda f: "high" if f["area"] > 100 else "low")
    assert "most often 'low' in place of 'high'" in found.message
    assert all(part.where.startswith("area") for part in found.evidence.slices)
    assert judged(lambda f: "x", lambda f: "x", parity="size").reason == "no_values"
    found = judged(lambda f: int(f["area"] > 110), lambda f: int(f["area"] > 100))
    assert "most often 0 in place of 1" in found.message


@pytest.mark.parametrize(
    ("one", "other", "rate"),
    [
        (True, True, 0.0),
        (True, False, 1.0),
        (True, 1, 1.0),
        (None, None, 0.0),
        (None, 1.0, 1.0),
        ("1", 1.0, 1.0),
        (float("nan"), float("nan"), 0.0),
        (float("nan"), 1.0, 1.0),
        ([1.0, 2.0], [1.0, 2.0 + 1e-9], 0.0),
        ({"a": 1}, {"a": 2}, 1.0),
        (2**60, 2**60, 0.0),
        (2**60, 2**60 + 2**50, 1.0),
        (7, 7.0, 0.0),
    ],
)
def test_values_of_every_type_are_compared_as_they_were_sent(one: Any, other: Any, rate: float) -> None:
    found = judged(lambda f: one, lambda f: other, n=20)
    assert (found.rows, found.value) == (20, rate)


def test_values_of_mixed_types_are_compared_row_by_row() -> None:
    kinds = [1.0, "a", None, True, [1], 3, float("inf"), 2**70]
    one, other = iter(kinds * 10), iter(kinds * 10)
    assert judged(lambda f: next(one), lambda f: next(other), n=80).value == 0.0
    one, other = iter(kinds * 10), iter([*kinds[1:], *kinds[:1]] * 10)
    assert judged(lambda f: next(one), lambda f: next(other), n=80).value == 1.0


def test_a_shadow_is_no_feature() -> None:
    for rule in (
        Missing(alert="a", integrity="missing", above=0.1),  # type: ignore[arg-type]
        Missing(alert="a", integrity="missing", above=0.1, outputs=("!score",)),  # type: ignore[arg-type]
        DriftRule(alert="a", drift="psi", above=0.1, features=("(*",)),  # type: ignore[arg-type]
    ):
        assert not rule.selects(semconv.FIELD_SHADOW)


def test_a_shadow_comes_from_any_language() -> None:
    def attribute(key: str, **value: Any) -> dict[str, Any]:
        return {"key": key, "value": value}

    record = {
        "eventName": semconv.EVENT_PREDICTION,
        "timeUnixNano": "5",
        "attributes": [
            attribute(semconv.MODEL_NAME, stringValue="m"),
            attribute(semconv.PREDICTION_ID, stringValue="a"),
            attribute(semconv.PREDICTION_VALUE, doubleValue=1.5),
            attribute(semconv.PREDICTION_SHADOW, intValue="2"),
        ],
    }
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}).encode()
    (batch,) = decode("logs", body, "json", received_ns=9).batches
    fields = batch.fields  # type: ignore[union-attr]
    assert {name: column.values.to_pylist() for name, column in fields.items()} == {
        semconv.FIELD_PREDICTION: [1.5],
        semconv.FIELD_SHADOW: [2],
    }


def _alert(check: str, method: str, field: str = "", **evidence: Any) -> Alert:
    target = Target("m", "1", "", field)
    result = CheckResult(
        "breach",
        "beyond_threshold",
        value=0.5,
        threshold=0.1,
        rows=1_000,
        evidence=evidence_from_document(check, evidence),
    )
    verdict = Verdict(target, 0, 60, result)
    return Alert(
        f"{check} {method}", "g", method, check, method, target, AlertState("firing", 60, 60, 60), verdict, {}, {}
    )


@pytest.mark.parametrize(("size", "explained"), [(0.4, True), (0.001, False)])
def test_another_model_explains_what_comes_out_if_it_is_different_enough(size: float, explained: bool) -> None:
    rate, far = _alert("parity", "rate", size=size), _alert("parity", "size", size=size)
    symptoms = [_alert("drift", "psi", semconv.FIELD_PREDICTION), _alert("performance", "rmse")]
    found = causes([far, rate, *symptoms])
    assert found == {far.id: rate.id} | {symptom.id: rate.id for symptom in symptoms if explained}


def test_faults_of_the_inputs_and_another_model_do_not_explain_each_other() -> None:
    alerts = [
        _alert("integrity", "missing", "area"),
        _alert("drift", "psi", "area"),
        _alert("parity", "rate", size=0.4),
    ]
    assert causes(alerts) == {"drift psi": "integrity missing"}
