"""The methods as rules use them: on profiles of numbers and categories, without what chance alone adds."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy.stats import anderson_ksamp, betabinom, cramervonmises_2samp, false_discovery_control, fisher_exact
from scipy.stats import wasserstein_distance as scipys_wasserstein

from otel_mlmon.reference.create import bin_edges
from otel_mlmon.stats.drift.cusum import limit, run_length, step
from otel_mlmon.stats.drift.distribution import Distribution, bin_index, coarse
from otel_mlmon.stats.drift.methods import DRIFT_METHODS, NEEDS_ORDERED_BINS
from otel_mlmon.stats.inference.p_values import benjamini_hochberg
from otel_mlmon.stats.inference.proportion import beyond_extremes, fisher_greater

METHODS = pytest.mark.parametrize("name", sorted(DRIFT_METHODS))


def of(values: np.ndarray, edges: tuple[float, ...], design_effect: float = 1.0) -> Distribution:
    """A profile's view of raw values."""
    finite = values[np.isfinite(values)]
    counts = np.bincount(bin_index(finite, edges), minlength=len(edges) + 1)
    low, high = (finite.min(), finite.max()) if len(finite) else (math.nan, math.nan)
    return Distribution(
        counts, edges, len(finite), float(finite.sum()), float((finite**2).sum()), low, high, design_effect
    )


def pair(rng: np.random.Generator, n: int, shift: float = 0.0, m: int = 20_000) -> tuple[Distribution, Distribution]:
    reference, window = rng.normal(size=m), rng.normal(shift, size=n)
    edges = bin_edges(reference)
    return of(reference, edges), of(window, edges)


@METHODS
def test_without_drift_values_are_near_zero_and_p_values_not_too_small(name: str) -> None:
    rng = np.random.default_rng(1)
    effects = [DRIFT_METHODS[name](*pair(rng, 1000)) for _ in range(200)]
    assert np.mean([e.value for e in effects]) < 0.08
    assert np.mean([e.p_value < 0.01 for e in effects]) < 0.04
    assert np.mean([e.p_value < 0.5 for e in effects]) > 0.1, "p-values that are never small would pass as well"


@pytest.mark.parametrize("name", ["psi", "jensen_shannon", "hellinger"])
def test_a_window_of_200_rows_and_one_of_200_000_read_alike(name: str) -> None:
    rng = np.random.default_rng(2)
    small = [DRIFT_METHODS[name](*pair(rng, 200, 0.5)).value for _ in range(100)]
    large = [DRIFT_METHODS[name](*pair(rng, 200_000, 0.5)).value for _ in range(3)]
    assert np.mean(small) == pytest.approx(np.mean(large), rel=0.1)
    none = [DRIFT_METHODS[name](*pair(rng, 200)).value for _ in range(200)]
    assert np.mean(none) < 0.12 * np.mean(large) or name != "psi"


@METHODS
def test_a_shift_of_a_quarter_of_a_deviation_is_sure_in_1000_rows(name: str) -> None:
    if name == "standard_deviation_shift":
        pytest.skip("the spread does not change")
    rng = np.random.default_rng(3)
    effects = [DRIFT_METHODS[name](*pair(rng, 1000, 0.25)) for _ in range(20)]
    assert max(e.p_value for e in effects) < 1e-3 and min(e.value for e in effects) > 0


def test_another_spread_is_seen_and_a_shift_is_none() -> None:
    rng = np.random.default_rng(4)
    reference = rng.normal(size=20_000)
    edges = bin_edges(reference)
    wide = DRIFT_METHODS["standard_deviation_shift"](of(reference, edges), of(2 * rng.normal(size=1000), edges))
    assert wide.value == pytest.approx(math.log(2), abs=0.1) and wide.p_value < 1e-9
    moved = DRIFT_METHODS["standard_deviation_shift"](of(reference, edges), of(rng.normal(1, 1, 1000), edges))
    assert moved.p_value > 0.001


def test_wasserstein_is_scipys_within_the_width_of_a_bin() -> None:
    rng = np.random.default_rng(5)
    reference, window = rng.normal(size=5000), rng.normal(0.7, 1.3, size=3000)
    edges = bin_edges(reference)
    found = DRIFT_METHODS["wasserstein"](of(reference, edges), of(window, edges)).value
    assert found == pytest.approx(scipys_wasserstein(reference, window) / reference.std(), rel=0.03)


def test_cramer_von_mises_and_anderson_darling_are_as_sure_as_scipys() -> None:
    rng = np.random.default_rng(6)
    for shift in (0.0, 0.05, 0.1, 0.15):
        reference, window = rng.normal(size=4000), rng.normal(shift, size=1000)
        edges = bin_edges(reference)
        sides = of(reference, edges), of(window, edges)
        exact = cramervonmises_2samp(reference, window).pvalue
        assert DRIFT_METHODS["cramer_von_mises"](*sides).p_value == pytest.approx(exact, rel=0.25, abs=0.03)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SciPy's p-values end at 0.001 and 0.25
            exact = anderson_ksamp([reference, window], variant="midrank").pvalue
        if 0.002 < exact < 0.2:
            assert DRIFT_METHODS["anderson_darling"](*sides).p_value == pytest.approx(exact, rel=0.3, abs=0.01)


def test_rows_that_are_alike_are_worth_fewer() -> None:
    rng = np.random.default_rng(7)
    reference, window = pair(rng, 1000, 0.15)
    for name, method in DRIFT_METHODS.items():
        if name == "standard_deviation_shift":
            continue
        dependent = Distribution(**{**{f: getattr(window, f) for f in window.__slots__}, "design_effect": 20.0})
        assert method(reference, dependent).p_value > method(reference, window).p_value, name


@METHODS
@pytest.mark.parametrize("values", [[], [5.0], [3.0] * 50, [1e308] * 50, [-(2.0**62)] * 50])
def test_odd_windows_have_an_answer(name: str, values: list[float]) -> None:
    reference = np.random.default_rng(8).normal(size=1000)
    edges = bin_edges(reference)
    with np.errstate(over="ignore", invalid="ignore"):
        effect = DRIFT_METHODS[name](of(reference, edges), of(np.array(values), edges))
    if not values:
        assert math.isnan(effect.value)
    elif len(values) > 1 and name != "standard_deviation_shift":
        assert effect.value > 0.3 or math.isnan(effect.value)


def test_a_constant_that_becomes_another_one_is_drift_by_every_method() -> None:
    edges = bin_edges(np.full(500, 7.0))
    for name, method in DRIFT_METHODS.items():
        effect = method(of(np.full(500, 7.0), edges), of(np.full(100, 8.0), edges))
        if name != "standard_deviation_shift":
            assert effect.value > 0.45 and effect.p_value < 1e-6, name


def test_categories_are_measured_by_methods_that_need_no_order() -> None:
    then, now = np.array([500, 300, 200, 0]), np.array([50, 30, 10, 60])
    for name in DRIFT_METHODS.keys() - NEEDS_ORDERED_BINS:
        effect = DRIFT_METHODS[name](Distribution(then), Distribution(now))
        assert effect.value > 0.1 and effect.p_value < 1e-9


def test_neighbouring_bins_are_merged_to_equal_shares() -> None:
    counts = np.array([0, *([25] * 40), 0])
    index = coarse(counts)
    assert index[0] == 0 and index[-1] == index[-2] + 1
    assert np.bincount(index, weights=counts)[1:-1].tolist() == [100.0] * 10


def test_fisher_and_the_extremes_are_scipys_far_into_the_tail() -> None:
    rng = np.random.default_rng(9)
    for _ in range(200):
        n, m = int(rng.choice([50, 1000, 100_000])), int(rng.choice([100, 10_000]))
        k, c = int(rng.integers(0, min(n, 60))), int(rng.integers(0, 60))
        expected = fisher_exact([[k, n - k], [c, m - c]], alternative="greater")[1]
        assert fisher_greater(k, n, c, m) == pytest.approx(expected, rel=1e-6, abs=1e-300)
        assert beyond_extremes(k, n, m) == pytest.approx(betabinom.sf(k - 1, n, 2, m - 1), rel=1e-3, abs=1e-9)
    assert 0 < fisher_greater(30, 1000, 0, 100_000) < 1e-50


def test_the_range_of_a_sample_is_left_as_often_as_promised() -> None:
    rng = np.random.default_rng(10)
    p_values = []
    for _ in range(2000):
        known, new = rng.lognormal(size=300), rng.lognormal(size=200)
        p_values.append(beyond_extremes(int(((new < known.min()) | (new > known.max())).sum()), 200, 300))
    assert np.mean(np.array(p_values) <= 0.05) <= 0.06


def test_corrected_p_values_are_scipys_and_control_the_chance_of_any_false_alarm() -> None:
    rng = np.random.default_rng(11)
    p = rng.random(50)
    assert benjamini_hochberg(p.tolist()) == pytest.approx(false_discovery_control(p).tolist())
    assert benjamini_hochberg([0.01, math.nan])[0] == 0.01
    alarms = [min(benjamini_hochberg(rng.random(40).tolist())) < 0.05 for _ in range(2000)]
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.02)


def test_cusum_has_the_run_lengths_of_the_textbook_and_of_simulation() -> None:
    # Montgomery, Introduction to Statistical Quality Control, table 9.3: k = 0.5, h = 4 and 5.
    assert run_length(4.0, 0.5) == pytest.approx(168, rel=0.02)
    assert run_length(5.0, 0.5) == pytest.approx(465, rel=0.02)
    boundary = limit(100.0, 0.5)
    rng, lengths = np.random.default_rng(12), []
    for _ in range(400):
        up = down = 0.0
        n = 0
        while max(up, down) <= boundary:
            up, down = step(up, down, rng.normal(), 0.5)
            n += 1
        lengths.append(n)
    assert np.mean(lengths) == pytest.approx(100, rel=0.15)
