"""Every drift method against SciPy or a worked example, and what must hold for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import distance
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp, kstwobign
from scipy.stats.contingency import association

from otel_mlmon.stats.drift.homogeneity import homogeneity_p_value, likelihood_ratio
from otel_mlmon.stats.drift.methods import COUNT_METHODS, NEEDS_ORDERED_BINS
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov

REFERENCE = np.array([900, 1400, 2500, 1800, 700], dtype=np.int64)
WINDOW = np.array([60, 150, 240, 210, 90], dtype=np.int64)
METHODS = pytest.mark.parametrize("name", sorted(COUNT_METHODS))


def vectors(low: int = 0, high: int = 5000, most: int = 15) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    counts = st.integers(low, high)
    return st.integers(1, most).flatmap(
        lambda k: st.tuples(arrays(np.int64, k, elements=counts), arrays(np.int64, k, elements=counts))
    )


def test_psi_of_a_worked_example() -> None:
    # 0.1 ln(0.5/0.4) + ... written out, shares 0.5 0.3 0.2 against 0.4 0.3 0.3
    by_hand = (0.4 - 0.5) * math.log(0.4 / 0.5) + 0 + (0.3 - 0.2) * math.log(0.3 / 0.2)
    effect = COUNT_METHODS["psi"](np.array([500, 300, 200]), np.array([400, 300, 300]))
    assert effect.value == pytest.approx(by_hand, abs=1e-12)
    # Yurdakul: value / (1/1000 + 1/1000) is chi-squared with 2 degrees of freedom, whose upper tail is exp(-x / 2)
    assert effect.p_value == pytest.approx(math.exp(-by_hand / 0.002 / 2), rel=0.1)


def test_psi_counts_an_empty_cell_as_one_half_on_either_side() -> None:
    p, q = np.array([100, 0.5]) / 100.5, np.array([80, 20]) / 100
    by_hand = ((q - p) * np.log(q / p)).sum()
    assert COUNT_METHODS["psi"](np.array([100, 0]), np.array([80, 20])).value == pytest.approx(by_hand, abs=1e-12)
    assert COUNT_METHODS["psi"](np.array([80, 20]), np.array([100, 0])).value == pytest.approx(by_hand, abs=1e-12)


def test_jensen_shannon_is_scipys_distance_to_base_2() -> None:
    expected = distance.jensenshannon(REFERENCE, WINDOW, base=2)
    assert COUNT_METHODS["jensen_shannon"](REFERENCE, WINDOW).value == pytest.approx(expected, abs=1e-9)


def test_likelihood_ratio_is_scipys_g_with_the_classical_p_value_for_large_counts() -> None:
    table = np.stack([REFERENCE, WINDOW])
    scipys = chi2_contingency(table, correction=False, lambda_="log-likelihood")
    reference, window = REFERENCE.astype(float), WINDOW.astype(float)
    assert likelihood_ratio(reference, window) == pytest.approx(scipys.statistic, rel=1e-9)
    assert homogeneity_p_value(reference, window) == pytest.approx(scipys.pvalue, rel=0.02)


def test_two_sparse_cells_are_judged_by_fishers_exact_test() -> None:
    expected = fisher_exact([[9990, 10], [197, 3]]).pvalue
    assert COUNT_METHODS["jensen_shannon"](np.array([9990, 10]), np.array([197, 3])).p_value == expected


def test_chi_squared_p_value_is_scipys_when_no_expected_count_is_below_5() -> None:
    expected = chi2_contingency(np.stack([REFERENCE, WINDOW]), correction=False).pvalue
    padded = [np.append(side, 0) for side in (REFERENCE, WINDOW)]  # a cell empty on both sides changes nothing
    assert COUNT_METHODS["chi_squared"](*padded).p_value == pytest.approx(expected, rel=1e-9)


def test_chi_squared_value_is_bergsmas_v_for_sides_of_one_size() -> None:
    table = np.array([[300, 500, 200], [250, 450, 300]])
    rows, k = 2000, 3
    plain = association(table, method="cramer")
    corrected = max(0.0, plain**2 - (k - 1) / (rows - 1))
    columns, sides = k - (k - 1) ** 2 / (rows - 1), 2 - 1 / (rows - 1)
    expected = math.sqrt(corrected / min(columns - 1, sides - 1))
    assert COUNT_METHODS["chi_squared"](*table).value == pytest.approx(expected, abs=1e-9)


def test_chi_squared_value_does_not_shrink_as_the_reference_grows() -> None:
    window = np.array([250, 450, 300])
    small, large = (COUNT_METHODS["chi_squared"](np.array([300, 500, 200]) * n, window).value for n in (10, 1000))
    assert large == pytest.approx(small, rel=0.01)


def test_kolmogorov_smirnov_on_counts_is_scipys_on_the_bins_and_its_limit_law() -> None:
    bins = np.arange(5.0)
    expected = ks_2samp(np.repeat(bins, REFERENCE), np.repeat(bins, WINDOW)).statistic
    effect = COUNT_METHODS["kolmogorov_smirnov"](REFERENCE, WINDOW)
    rows = REFERENCE.sum() * WINDOW.sum() / (REFERENCE.sum() + WINDOW.sum())
    assert effect.value == pytest.approx(expected, abs=1e-9)
    assert effect.p_value == pytest.approx(kstwobign.sf(expected * rows**0.5), rel=1e-9)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(-1, 1))
def test_binned_d_falls_short_of_the_exact_one_by_at_most_the_largest_reference_bin(
    seed: int, bins: int, shift: float
) -> None:
    rng = np.random.default_rng(seed)
    reference, window = rng.normal(size=200), rng.normal(shift, size=50)
    inner = np.quantile(reference, np.linspace(0, 1, bins + 1)[1:-1])
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    counts = np.histogram(reference, edges)[0]
    exact = ks_2samp(reference, window).statistic
    binned = kolmogorov_smirnov(counts, np.histogram(window, edges)[0]).value
    assert binned - 1e-12 <= exact <= binned + counts.max() / 200 + 1e-12


def test_a_new_category_in_one_window_row_of_twenty_is_certain_beside_many_rare_ones() -> None:
    rng = np.random.default_rng(7)
    share = np.full(60, 1 / 60)
    reference = np.append(rng.multinomial(10_000, share), 0)
    window = np.append(rng.multinomial(190, share), 10)
    for name in COUNT_METHODS.keys() - NEEDS_ORDERED_BINS:
        assert COUNT_METHODS[name](reference, window).p_value < 1e-4, name


def test_a_constant_feature_that_changes_its_value_is_certain_drift() -> None:
    for name, method in COUNT_METHODS.items():
        effect = method(np.array([10_000, 0]), np.array([0, 30]))
        assert effect.value > 0.45 and effect.p_value < 1e-9, name


def test_only_distribution_functions_depend_on_the_order_of_cells() -> None:
    order = np.array([3, 0, 4, 1, 2])
    for name, method in COUNT_METHODS.items():
        same = method(REFERENCE[order], WINDOW[order]).value == pytest.approx(method(REFERENCE, WINDOW).value, rel=1e-9)
        assert same == (name not in NEEDS_ORDERED_BINS), name


@METHODS
@pytest.mark.parametrize(
    ("reference", "window", "message"),
    [
        ([1, 2], [1, 2, 3], "same cells, found 2 and 3"),
        ([1, -2], [1, 2], "reference counts must not be negative, found -2"),
        ([1, 2], [1, -7], "window counts must not be negative, found -7"),
        ([0.5, 2.0], [1, 2], "reference counts must be a vector of integers"),
        ([[1, 2]], [[1, 2]], "found 2 dimension"),
    ],
)
def test_bad_counts_are_refused(name: str, reference: list[int], window: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        COUNT_METHODS[name](np.array(reference), np.array(window))


@METHODS
@pytest.mark.parametrize(("reference", "window"), [([1, 2], [0, 0]), ([0, 0], [1, 2]), ([0], [0]), ([], [])])
def test_an_empty_side_has_neither_value_nor_p_value(name: str, reference: list[int], window: list[int]) -> None:
    effect = COUNT_METHODS[name](np.array(reference, dtype=np.int64), np.array(window, dtype=np.int64))
    assert math.isnan(effect.value) and math.isnan(effect.p_value)


@METHODS
@settings(deadline=None)
@given(pair=vectors())
def test_value_is_not_negative_and_both_sides_are_alike(name: str, pair: tuple[np.ndarray, np.ndarray]) -> None:
    assume(pair[0].any() and pair[1].any())
    effect, swapped = COUNT_METHODS[name](*pair), COUNT_METHODS[name](*reversed(pair))
    assert 0 <= effect.value <= {"psi": math.inf, "anderson_darling": 2.0}.get(name, 1 + 1e-12)
    assert 0 <= effect.p_value <= 1
    assert swapped.value == pytest.approx(effect.value, rel=1e-9, abs=1e-9)
    assert swapped.p_value == pytest.approx(effect.p_value, rel=1e-6, abs=1e-9)


@METHODS
@settings(deadline=None)
@given(pair=vectors())
def test_a_window_that_equals_the_reference_has_value_0_and_is_no_evidence(
    name: str, pair: tuple[np.ndarray, np.ndarray]
) -> None:
    assume(pair[0].any())
    effect = COUNT_METHODS[name](pair[0], pair[0].copy())
    assert effect.value == pytest.approx(0, abs=1e-7)
    assert effect.p_value == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["psi", "kolmogorov_smirnov", "jensen_shannon"])
@settings(deadline=None)
@given(pair=vectors(low=1), factors=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_value_depends_on_shares_and_not_on_sizes(
    name: str, pair: tuple[np.ndarray, np.ndarray], factors: tuple[int, int]
) -> None:
    scaled = COUNT_METHODS[name](pair[0] * factors[0], pair[1] * factors[1])
    assert scaled.value == pytest.approx(COUNT_METHODS[name](*pair).value, rel=1e-9, abs=1e-7)
