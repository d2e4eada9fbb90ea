"""Without drift a p-value below 0.01 comes in about 1 % of the windows: that is what a p-value promises."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from otel_mlmon.stats.drift.methods import COUNT_METHODS

WINDOWS = 500


def quantile_bins(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """As a profile has them: ten quantile bins of 10,000 reference values, plus below and above."""
    reference, window = rng.lognormal(size=10_000), rng.lognormal(size=n)
    edges = np.quantile(reference, np.linspace(0, 1, 11))
    edges[-1] = np.nextafter(edges[-1], np.inf)
    bounds = np.concatenate([[-np.inf], edges, [np.inf]])
    return np.histogram(reference, bounds)[0], np.histogram(window, bounds)[0]


def rare_categories(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A hundred categories by Zipf's law, most of them too rare for Pearson's test."""
    share = 1 / np.arange(1, 101)
    share /= share.sum()
    return rng.multinomial(10_000, share), rng.multinomial(n, share)


@pytest.mark.parametrize("name", sorted(COUNT_METHODS))
@pytest.mark.parametrize("n", [200, 2000])
@pytest.mark.parametrize("draw", [quantile_bins, rare_categories])
def test_false_alarms_are_as_rare_as_promised(
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]], n: int, name: str
) -> None:
    rng = np.random.default_rng(20_000 + n)
    p_values = np.array([COUNT_METHODS[name](*draw(rng, n)).p_value for _ in range(WINDOWS)])
    assert (p_values < 0.01).mean() <= 0.03
    assert (p_values < 0.5).mean() > 0.1, "p-values that are never small would pass the first test"


@pytest.mark.parametrize("name", sorted(COUNT_METHODS))
def test_a_shift_of_half_a_deviation_is_found_in_200_rows(name: str) -> None:
    rng = np.random.default_rng(3)
    edges = np.concatenate([[-np.inf], np.quantile(rng.normal(size=10_000), np.linspace(0, 1, 11)[1:-1]), [np.inf]])
    found = [
        COUNT_METHODS[name](
            np.histogram(rng.normal(size=10_000), edges)[0], np.histogram(rng.normal(0.5, size=200), edges)[0]
        ).p_value
        < 0.01
        for _ in range(50)
    ]
    assert np.mean(found) > 0.95
