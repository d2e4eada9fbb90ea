"""The slices rule on rows of predictions: what it says, and when it says nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from checks.houses import NAMES, all_of, case, houses, reference, rows

from otel_mlmon.checks.slices import concentrated, slices
from otel_mlmon.rulefile import SliceRule
from otel_mlmon.values import Reference
from otel_mlmon.values.evidence_documents import evidence_from_document, evidence_to_document

BAD = ("town-03", "town-08", "town-15")


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference(houses(np.random.default_rng(0), 8000))


def _rule(**keys: Any) -> SliceRule:
    return SliceRule(**{"alert": "Slices", "slices": "rmse", **keys})


def _off(columns: dict[str, Any], *towns: str, by: float = 1.3) -> dict[str, Any]:
    """Predictions of some towns are off."""
    there = np.isin(columns["town"], towns)
    return {**columns, "predicted": np.where(there, columns["predicted"] * by, columns["predicted"])}


def _unknown(columns: dict[str, Any], share: float, seed: int = 0) -> dict[str, Any]:
    gone = np.random.default_rng(seed).random(len(columns["price"])) < share
    return {**columns, "price": np.where(gone, np.nan, columns["price"])}


def test_three_towns_that_are_off_by_a_third_are_named_and_nothing_else(known: Reference) -> None:
    for seed in range(1, 11):
        found = slices(_rule(), case(rows(_off(houses(np.random.default_rng(seed)), *BAD)), known))
        assert (found.status, found.finding) == ("breach", "slice")
        assert {part.where for part in found.evidence.slices} == {f"town = {town}" for town in BAD}
        assert found.value is not None and found.value > 1
        assert found.p_value is not None and found.p_value < 1e-6
        assert found.threshold == 0.15


def test_three_of_many_neighbourhoods_are_named_though_the_whole_hardly_changed() -> None:
    """Prices have fallen by 23 % there, so predictions are 30 % too high; 200 ground truths each."""

    def market(seed: int, n: int, *fallen: str) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        columns = houses(rng, n, towns=50)
        price = columns["price"] * np.exp(0.15 * rng.normal(size=n))
        price = np.where(np.isin(columns["town"], fallen), price / 1.3, price)
        return {**columns, "predicted": columns["price"], "price": price}

    known = reference(market(0, 15_000))
    assert known.performance is not None
    before = np.sqrt(known.performance.sum_squared_error / known.performance.numeric)
    grown = []
    for seed in range(1, 11):
        columns = market(seed, 10_000, *BAD)
        found = slices(_rule(), case(rows(columns), known))
        assert {part.where for part in found.evidence.slices} == {f"town = {town}" for town in BAD}
        assert found.p_value is not None and found.p_value < 0.001
        grown.append(np.sqrt(np.mean((columns["predicted"] - columns["price"]) ** 2)) / before - 1)
    assert 0 < np.mean(grown) < 0.03


def test_what_is_said_has_the_figures_and_is_json(known: Reference) -> None:
    columns = _off(houses(np.random.default_rng(1)), "town-03")
    found = slices(_rule(), case(rows(columns), known))
    there = columns["town"] == "town-03"
    (part,) = found.evidence.slices
    assert part.rows == there.sum()
    assert part.value == pytest.approx(np.sqrt(np.mean((columns["predicted"] - columns["price"])[there] ** 2)))
    assert part.worse == pytest.approx(part.value / part.expected - 1) == pytest.approx(found.value)
    assert part.expected == pytest.approx(0.1 * np.sqrt(np.mean(columns["price"][there] ** 2)), rel=0.25)
    assert (
        found.message
        == f"rmse is {found.value:.0%} worse than expected where town = town-03 ({there.sum()} predictions)"
    )
    assert (
        evidence_from_document("slices", json.loads(json.dumps(evidence_to_document(found.evidence)))) == found.evidence
    )


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_a_window_like_the_reference_has_no_slices(known: Reference, metric: str) -> None:
    for seed in range(1, 21):
        found = slices(_rule(slices=metric), case(rows(houses(np.random.default_rng(seed))), known))
        assert found.status == "ok" or (found.p_value is not None and found.p_value > 0.01), found


def test_a_window_that_is_worse_everywhere_is_said_to_be(known: Reference) -> None:
    columns = houses(np.random.default_rng(1))
    columns["predicted"] = columns["price"] + 1.5 * (columns["predicted"] - columns["price"])
    found = slices(_rule(), case(rows(columns), known))
    assert (found.status, found.finding) == ("breach", "worse")
    assert "no part of them stands out" in found.message
    assert found.value == pytest.approx(0.5, abs=0.15)  # the model of the losses sees that a prediction is odd


def test_features_that_the_rule_leaves_out_name_nothing(known: Reference) -> None:
    columns = _off(houses(np.random.default_rng(1)), *BAD)
    found = slices(_rule(features=["*", "!town", "!l*itude"]), case(rows(columns), known))
    assert not {name for part in (found.evidence.slices if found.evidence else ()) for name, _ in part.conditions} & {
        "town",
        "latitude",
        "longitude",
    }


def test_forty_of_a_hundred_truths_missing_by_chance_change_nothing_but_the_rows(known: Reference) -> None:
    columns = _unknown(_off(houses(np.random.default_rng(1), 7000), *BAD), 0.4)
    found = slices(_rule(), case(rows(columns), known))
    assert {part.where for part in found.evidence.slices} == {f"town = {town}" for town in BAD}
    assert found.rows == np.isfinite(columns["price"]).sum()


def test_too_little_ground_truth_no_reference_and_no_numbers_are_no_data(known: Reference) -> None:
    columns = houses(np.random.default_rng(1))
    few = slices(_rule(), case(rows(_unknown(columns, 0.7)), known))
    assert (few.status, few.reason) == ("no_data", "too_little_ground_truth")
    none = slices(_rule(), case(rows(columns), None))
    assert (none.status, none.reason) == ("no_data", "no_reference")
    text = slices(_rule(), case(rows({**columns, "predicted": columns["town"]}), known))
    assert (text.status, text.reason) == ("no_data", "no_values")
    empty = slices(_rule(), replace(case(rows(columns), known).context, windows={}).view(""))
    assert empty.status == "no_data"


def test_without_a_model_of_the_losses_only_segments_are_compared() -> None:
    names = replace(NAMES, segments=("town",))
    known = reference(houses(np.random.default_rng(0), 8000), names, estimators=False)
    for seed in range(1, 6):
        fine = slices(_rule(), case(rows(houses(np.random.default_rng(seed)), names), known, "town"))
        assert fine.status == "ok" or (fine.p_value is not None and fine.p_value > 0.01), fine
        found = slices(_rule(), case(rows(_off(houses(np.random.default_rng(seed)), *BAD), names), known, "town"))
        assert {part.where for part in found.evidence.slices} == {f"town = {town}" for town in BAD}
    without = reference(houses(np.random.default_rng(0), 4000), estimators=False)
    none = slices(_rule(), case(rows(houses(np.random.default_rng(1))), without))
    assert (none.status, none.reason) == ("no_data", "no_loss_model")


def test_a_segment_that_is_no_feature_is_named() -> None:
    def with_channel(columns: dict[str, Any], seed: int) -> dict[str, Any]:
        return {
            **columns,
            "channel": np.random.default_rng(seed).choice(["app", "web", "phone"], len(columns["price"])),
        }

    features = ("town", "rooms", "age", "garage", "latitude", "longitude")
    names = replace(NAMES, segments=("channel",), features=features)
    known = reference(with_channel(houses(np.random.default_rng(0), 8000), 0), names)
    columns = with_channel(houses(np.random.default_rng(1)), 1)
    columns["predicted"] = np.where(columns["channel"] == "phone", columns["predicted"] * 1.3, columns["predicted"])
    found = slices(_rule(segments=["channel"]), case(rows(columns, names), known, "channel"))
    assert [part.where for part in found.evidence.slices] == ["channel = phone"]


def test_classes_that_are_wrong_more_often_are_found() -> None:
    def classes(rng: np.random.Generator, wrong_in: tuple[str, ...], n: int = 6000) -> dict[str, Any]:
        columns = houses(rng, n)
        truth = rng.choice(["cheap", "dear"], n)
        wrong = rng.random(n) < np.where(np.isin(columns["town"], wrong_in), 0.4, 0.1)
        other = np.where(truth == "cheap", "dear", "cheap")
        return {**columns, "price": truth, "predicted": np.where(wrong, other, truth)}

    known = reference(classes(np.random.default_rng(0), ()))
    fine = slices(_rule(slices="accuracy"), case(rows(classes(np.random.default_rng(1), ())), known))
    assert fine.status == "ok" or (fine.p_value is not None and fine.p_value > 0.01)
    found = slices(_rule(slices="accuracy"), case(rows(classes(np.random.default_rng(2), ("town-05",))), known))
    (part,) = found.evidence.slices
    assert part.where == "town = town-05"
    assert part.value == pytest.approx(0.6, abs=0.1)
    assert part.expected == pytest.approx(0.9, abs=0.05)
    assert found.value == pytest.approx(1 - part.value / part.expected)


def test_where_errors_are_concentrated_is_told_with_and_without_a_reference(known: Reference) -> None:
    block = rows(_off(houses(np.random.default_rng(1)), "town-03", by=2.0))
    for made, by in ((known, "model"), (None, "whole")):
        found = concentrated(block, all_of(block), made, "rmse")
        assert (found.slices[0].where, found.expected_by) == ("town = town-03", by)
    assert concentrated(block, all_of(block)[:60], known, "rmse").slices == ()
