"""How many rows are worth one, against designs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from otel_mlmon.stats.inference.design_effect import (
    design_effect,
    design_effect_of,
    design_effects,
    of_categories,
    of_numbers,
)


def test_independent_rows_are_worth_themselves() -> None:
    rng = np.random.default_rng(1)
    found = design_effects(of_numbers(rng.lognormal(size=50_000)))
    assert list(found) == [100, 316, 1000]
    assert all(effect < 1.25 for effect in found.values()), found


@pytest.mark.parametrize("copies", [4, 25])
def test_rows_that_come_in_copies_are_worth_one_of_them(copies: int) -> None:
    rng = np.random.default_rng(2)
    numbers = np.repeat(rng.normal(size=100_000 // copies), copies)
    names = np.repeat(rng.integers(0, 5, 100_000 // copies).astype(np.int32), copies)
    for indicators in (of_numbers(numbers), of_categories(names)):
        assert design_effect(indicators, 1000) == pytest.approx(copies, rel=0.2)


def test_an_autoregressive_stream_is_worth_what_theory_says() -> None:
    """Median of an AR(1) process: the correlation of the signs at lag k is 2/π asin(φ^k) (Sheppard, 1899)."""
    rng, phi, n = np.random.default_rng(3), 0.8, 400_000
    x, noise = np.empty(n), rng.normal(size=n) * (1 - phi**2) ** 0.5
    x[0] = noise[0]
    for i in range(1, n):
        x[i] = phi * x[i - 1] + noise[i]
    lags = np.arange(1, 200)
    expected = 1 + 2 * float((2 / np.pi * np.arcsin(phi**lags)).sum())
    assert design_effect((x > 0)[:, None], 4000) == pytest.approx(expected, rel=0.25)


def test_missing_numbers_and_unknown_names_are_left_out() -> None:
    assert of_numbers(np.array([np.nan, np.inf])).shape == (0, 1)
    assert design_effects(of_numbers(np.full(10, np.nan))) == {}
    assert design_effect(of_numbers(np.ones(1000)), 100) == 1.0
    assert len(of_categories(np.array([-1, 0, 0, 3], np.int32))) == 3
    assert design_effects(of_categories(np.full(10_000, -1, np.int32))) == {}


def test_a_window_takes_the_next_larger_block() -> None:
    known = {100: 2.0, 316: 5.0, 1000: 4.0}
    assert [design_effect_of(known, rows) for rows in (1, 100, 101, 999, 10**6)] == [2.0, 2.0, 5.0, 4.0, 4.0]
