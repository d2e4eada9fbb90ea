"""Mean and standard deviation from sums, also where digits run out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_mlmon.stats.inference.summary import mean, standard_deviation


@settings(deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=100))
def test_numpy_agrees_as_far_as_the_sums_hold_digits(values: list[float]) -> None:
    numbers = np.array(values)
    found = standard_deviation(numbers.sum(), (numbers**2).sum(), len(numbers))
    assert mean(numbers.sum(), len(numbers)) == pytest.approx(numbers.mean(), rel=1e-12, abs=1e-12)
    assert found == pytest.approx(numbers.std(ddof=1), rel=1e-6, abs=1e-6 * np.abs(numbers).max() + 1e-150)


@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9 / 3, 1e100])
def test_a_constant_has_no_spread(constant: float) -> None:
    values = np.full(10_000, constant)
    assert standard_deviation(values.sum(), (values**2).sum(), 10_000) == 0


def test_too_few_values_and_sums_that_overflowed_have_no_answer() -> None:
    assert math.isnan(mean(0.0, 0))
    assert math.isnan(standard_deviation(3.0, 9.0, 1))
    assert math.isnan(standard_deviation(math.inf, math.inf, 2))
    with pytest.raises(ValueError, match="count must not be negative, found -1"):
        mean(0.0, -1)
