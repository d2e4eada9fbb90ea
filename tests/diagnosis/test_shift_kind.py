"""Concept drift (another truth for the same inputs) and covariate drift (more difficult inputs) are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from checks.houses import all_of, reference, rows

from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.values import Reference
from otel_mlmon.values.evidence import ShiftKind


def _predictions(seed: int, n: int = 4000, *, low: float = 0.0, concept: float = 1.0) -> dict[str, Any]:
    """Errors grow with x, which is between `low` and 1; their spread is multiplied by `concept`."""
    rng = np.random.default_rng(seed)
    x, other = rng.uniform(low, 1, n), rng.normal(size=n)
    price = 10 + 5 * x + other
    spread = (0.5 + 2 * x) * concept
    return {
        "x": x,
        "other": other,
        "predicted": price - spread * rng.normal(size=n),
        "price": price + rng.normal(size=n),
    }


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference(_predictions(0, 10_000))


def _kind(columns: dict[str, Any], known: Reference | None, metric: Any = "rmse") -> ShiftKind:
    block = rows(columns)
    return shift_kind(block, all_of(block), known, metric)


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_more_of_the_difficult_inputs_is_covariate_drift(known: Reference, metric: str) -> None:
    found = [_kind(_predictions(seed, low=0.6), known, metric) for seed in range(1, 11)]
    assert {one.kind for one in found} == {"covariate"}
    assert all(one.low is not None and one.high is not None and one.low < 1.0 < one.high + 0.1 for one in found)
    assert "the relation of inputs and truth is as before" in found[0].message


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_the_same_inputs_with_larger_errors_are_concept_drift(known: Reference, metric: str) -> None:
    def truth_moved(seed: int) -> dict[str, Any]:
        columns = _predictions(seed)
        return {**columns, "price": columns["price"] + 2.5}

    found = [_kind(truth_moved(seed), known, metric) for seed in range(1, 11)]
    assert {one.kind for one in found} == {"concept"}
    assert all(one.share is not None and abs(one.share) < 0.2 for one in found)


def test_half_of_each_is_both(known: Reference) -> None:
    def half(seed: int) -> dict[str, Any]:
        columns = _predictions(seed, low=0.6)
        return {**columns, "price": columns["price"] + 1.4}

    found = [_kind(half(seed), known) for seed in range(1, 11)]
    assert {one.kind for one in found} == {"both"}
    for one in found:
        assert one.growth == pytest.approx((one.inputs or 0) + (one.concept or 0))


def test_kind_is_unknown_without_growth_rows_or_model(known: Reference) -> None:
    same = [_kind(_predictions(seed), known) for seed in range(1, 21)]
    assert [one.kind for one in same].count("unknown") >= 18
    assert _kind(_predictions(1, 40, low=0.6), known).kind == "unknown"
    assert _kind(_predictions(1), None).kind == "unknown"
    assert _kind(_predictions(1), reference(_predictions(0), estimators=False)).kind == "unknown"
    gone = {name: column for name, column in _predictions(1, low=0.6).items() if name != "x"}
    assert _kind(gone, known).kind == "unknown"


def test_uncertain_share_is_unknown(known: Reference) -> None:
    found = [_kind(_predictions(seed, 80, low=0.6), known) for seed in range(1, 31)]
    assert {one.kind for one in found} <= {"unknown", "covariate", "both"}
    assert [one.kind for one in found].count("unknown") >= 10
