"""Tests and intervals of proportions against SciPy, and their promise about false alarms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from otel_mlmon.stats.inference.proportion import exceeds, wilson


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


def test_no_trials_no_answer() -> None:
    assert math.isnan(exceeds(0, 0, 0.1))
    assert all(math.isnan(end) for end in wilson(0, 0, 0.95))


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="found 3 of 2"):
        exceeds(3, 2, 0.5)
    with pytest.raises(ValueError, match=r"rate must be between 0 and 1, found 1\.5"):
        exceeds(1, 2, 1.5)
    with pytest.raises(ValueError, match="confidence must be between 0 and 1, found 95"):
        wilson(1, 2, 95)
