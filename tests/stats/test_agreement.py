"""Where two models differ, by how much, and what makes the one out of the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_mlmon.stats.metrics.agreement import alike, differ, relation, relative_size

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)


@given(NUMBERS, NUMBERS, st.floats(0, 0.5))
def test_columns_and_single_values_are_compared_alike_and_both_ways(one: float, other: float, tolerance: float) -> None:
    forward, backward = (differ(np.array([a]), np.array([b]), tolerance)[0] for a, b in ((one, other), (other, one)))
    assert forward == backward == (not alike(one, other, tolerance))
    assert not differ(np.array([one]), np.array([one]), tolerance)[0]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1.0, 1.0 + 5e-7, True),
        (1.0, 1.0 + 2e-6, False),
        (0.0, 1e-12, False),
        (0.0, -0.0, True),
        (math.nan, math.nan, True),
        (math.nan, 0.0, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        (True, 1, False),
        ("1", 1, False),
        ("a", "a", True),
        (None, None, True),
        (None, 0.0, False),
        ([1.0, 2.0], [1.0, 2.0 + 1e-9], True),
        ([1.0], [1.0, 2.0], False),
        ({"a": [1]}, {"a": [1.0]}, True),
        ({"a": 1}, {"b": 1}, False),
        (10**400, 10**400, True),
        (10**400, 1.0, False),
    ],
)
def test_what_is_the_same_prediction(one: Any, other: Any, same: bool) -> None:
    assert alike(one, other, 1e-6) is same


SHADOW = np.random.default_rng(0).normal(20.0, 5.0, 300)
MADE = {
    "": lambda b: b + np.random.default_rng(1).normal(0, 1, len(b)),
    "prediction ≈ -shadow": lambda b: -b,
    "prediction ≈ 1.08 × shadow": lambda b: 1.08 * b * (1 + np.random.default_rng(1).normal(0, 1e-3, len(b))),
    "prediction ≈ shadow + 3": lambda b: b + 3,
    "prediction ≈ exp(shadow)": np.exp,
    "prediction ≈ log(shadow)": np.log,
    "prediction ≈ 1.8 × shadow + 32": lambda b: 1.8 * b + 32,
    "prediction > shadow in 300 of 300 that differ": lambda b: (
        b + np.random.default_rng(1).exponential(1.0, len(b)) ** 3
    ),
}


@pytest.mark.parametrize("text", MADE)
def test_what_makes_the_prediction_out_of_the_shadow_is_named(text: str) -> None:
    shadow = np.abs(SHADOW)
    assert relation(MADE[text](shadow), shadow) == text


def test_a_few_pairs_of_noise_are_no_relation() -> None:
    rng = np.random.default_rng(3)
    named = sum(bool(relation(b + rng.normal(size=6), b)) for b in rng.normal(20, 5, (500, 6)))
    assert named / 500 < 0.08
    assert relation(SHADOW[:4] * 2, SHADOW[:4]) == "", "too few to tell"
    assert relation(SHADOW, SHADOW) == ""


def test_the_interval_of_the_size_holds_the_true_size_as_often_as_it_says() -> None:
    # b normal with deviation 1, d = |0.3 b + 0.4 e|: half normal with scale 0.5, whose mean is 0.5 sqrt(2 / pi).
    rng = np.random.default_rng(5)
    true, held, alarms = 0.5 * math.sqrt(2 / math.pi), 0, 0
    for _ in range(1_000):
        shadow = rng.normal(size=80)
        found = relative_size(1.3 * shadow + 0.4 * rng.normal(size=80), shadow, above=true, confidence=0.9)
        held += found.low <= true <= found.high
        alarms += found.p_value < 0.05
    assert 0.86 < held / 1_000 < 0.94
    assert alarms / 1_000 < 0.09


def test_the_size_of_nothing_is_unknown_and_of_no_difference_is_none() -> None:
    nan, x = np.full(3, np.nan), np.array([1.0, 2.0, 3.0])
    assert math.isnan(relative_size(nan, x, 0.1, 0.9).value)
    assert math.isnan(relative_size(x, np.ones(3), 0.1, 0.9).value), "no spread to compare with"
    assert relative_size(x, x, 0.1, 0.9)[:4] == (0.0, 0.0, 0.0, 1.0)
    assert relative_size(x, x + 1, 0.1, 0.9).value == pytest.approx(1.0)
