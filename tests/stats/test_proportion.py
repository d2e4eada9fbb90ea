"""Tests and intervals of proportions against SciPy, and their promise about false alarms."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from otel_mlmon.stats.inference.proportion import exceeds, exceeds_reference, wilson


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0, 1))
def test_exceeds_is_scipys_exact_binomial_test(counts: tuple[int, int], rate: float) -> None:
    expected = binomtest(*counts, rate, alternative="greater").pvalue
    assert exceeds(*counts, rate) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_is_scipys_interval_and_holds_the_rate(counts: tuple[int, int], confidence: float) -> None:
    low, high = wilson(*counts, confidence)
    expected = binomtest(*counts).proportion_ci(confidence, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= counts[0] / counts[1] <= high <= 1


@pytest.mark.parametrize(
    ("n", "m", "rate", "margin"),
    [
        (500, 10_000, 0.0, 0.02),
        (500, 10_000, 0.001, 0.0),
        (500, 500, 0.1, 0.0),
        (100, 200, 0.3, 0.05),
        (5000, 500, 0.01, 0.01),
    ],
)
def test_a_rate_exactly_at_the_margin_seldom_seems_above_it(n: int, m: int, rate: float, margin: float) -> None:
    rng = np.random.default_rng(11)
    pairs = zip(rng.binomial(n, rate + margin, 3000), rng.binomial(m, rate, 3000), strict=True)
    p_values = np.array([exceeds_reference(int(x), n, int(y), m, margin) for x, y in pairs])
    assert (p_values < 0.01).mean() <= 0.015
    assert (p_values < 0.05).mean() <= 0.06


@pytest.mark.parametrize(("x", "n", "y", "m"), [(30, 500, 300, 10_000), (60, 500, 40, 500), (8, 100, 2, 100)])
def test_without_margin_it_is_close_to_fishers_test(x: int, n: int, y: int, m: int) -> None:
    exact = fisher_exact([[x, n - x], [y, m - y]], alternative="greater").pvalue
    assert exact / 2.5 < exceeds_reference(x, n, y, m, 0.0) < exact * 1.5


def test_a_reference_without_any_success_is_still_a_sample() -> None:
    one, many = exceeds_reference(1, 500, 0, 10_000, 0.0), exceeds_reference(10, 500, 0, 10_000, 0.0)
    assert 0.01 < one < 0.2
    assert many < 1e-6


@pytest.mark.parametrize("counts", [(0, 10, 0, 10), (10, 10, 10, 10), (0, 10, 5, 10), (0, 1, 1, 1), (5, 5, 0, 5)])
@pytest.mark.parametrize("margin", [0.0, 0.3, 1.0])
def test_extreme_counts_give_a_probability(counts: tuple[int, int, int, int], margin: float) -> None:
    p_value = exceeds_reference(*counts, margin)
    assert 0 <= p_value <= 1
    if counts[0] * counts[3] <= counts[2] * counts[1]:  # not above the reference
        assert p_value >= 0.5


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 300), st.integers(301, 3000), st.floats(0, 0.5))
def test_more_successes_are_never_weaker_evidence(n: int, ref: int, m: int, margin: float) -> None:
    p_values = [exceeds_reference(x, n, ref, m, margin) for x in range(0, n + 1, max(1, n // 20))]
    for weaker, stronger in pairwise(p_values):  # an approximation: exact about order only where it matters
        assert stronger <= weaker * 1.1 or not 1e-6 < weaker < 0.3


def test_no_trials_no_answer() -> None:
    assert math.isnan(exceeds(0, 0, 0.1))
    assert math.isnan(exceeds_reference(0, 0, 1, 10, 0.0))
    assert math.isnan(exceeds_reference(1, 10, 0, 0, 0.0))
    assert all(math.isnan(end) for end in wilson(0, 0, 0.95))


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="found 3 of 2"):
        exceeds(3, 2, 0.5)
    with pytest.raises(ValueError, match=r"rate must be between 0 and 1, found 1\.5"):
        exceeds(1, 2, 1.5)
    with pytest.raises(ValueError, match=r"margin must be between 0 and 1, found -0\.1"):
        exceeds_reference(1, 2, 1, 2, -0.1)
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, found 95"):
        wilson(1, 2, 95)
