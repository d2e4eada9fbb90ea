"""Statistics that others have implemented as well give the same numbers there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import chebyshev, euclidean
from scipy.stats import combine_pvalues, ttest_ind, zscore
from sklearn.decomposition import PCA

from otel_mlmon.reference.create import bin_edges
from otel_mlmon.stats.drift.distribution import Distribution, bin_index
from otel_mlmon.stats.drift.methods import COUNT_METHODS
from otel_mlmon.stats.drift.moments import mean_shift, quantile_shift, standard_deviation_shift
from otel_mlmon.stats.drift.principal_components import VARIANCE, fit_principal_components, reconstruction_errors
from otel_mlmon.stats.inference.p_values import combined_p_value

COUNTS = arrays(np.int64, 6, elements=st.integers(0, 10_000)).filter(lambda counts: counts.any())
SHARES = st.floats(1e-12, 1 - 1e-9)


@given(COUNTS, COUNTS)
def test_hellinger_is_the_euclidean_distance_of_the_roots(then: np.ndarray, now: np.ndarray) -> None:
    roots = (np.sqrt(then / then.sum()), np.sqrt(now / now.sum()))
    assert COUNT_METHODS["hellinger"](then, now).value == pytest.approx(euclidean(*roots) / 2**0.5, abs=2e-8)


@given(COUNTS, COUNTS)
def test_l_infinity_is_the_chebyshev_distance_of_the_shares(then: np.ndarray, now: np.ndarray) -> None:
    assert COUNT_METHODS["l_infinity"](then, now).value == pytest.approx(
        chebyshev(then / then.sum(), now / now.sum()), abs=1e-12
    )


@given(SHARES, SHARES)
def test_two_independent_windows_are_combined_as_scipy_does(one: float, other: float) -> None:
    expected = combine_pvalues([one, other], method="stouffer").pvalue
    assert combined_p_value(one, other, 0.0) == pytest.approx(expected, rel=1e-6)


def profile(values: np.ndarray, edges: tuple[float, ...]) -> Distribution:
    counts = np.bincount(bin_index(values, edges), minlength=len(edges) + 1)
    return Distribution(
        counts,
        edges,
        len(values),
        float(values.sum()),
        float((values**2).sum()),
        float(values.min()),
        float(values.max()),
    )


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_shifts_are_those_of_the_raw_values(shift: float, scale: float) -> None:
    rng = np.random.default_rng(1)
    then = rng.gamma(3, 2, 20_000)
    now = then.mean() + (rng.gamma(3, 2, 2_000) - then.mean()) * scale + shift * then.std()
    edges = bin_edges(then)
    sides = profile(then, edges), profile(now, edges)
    assert mean_shift(*sides).value == pytest.approx(abs(now.mean() - then.mean()) / then.std(ddof=1), rel=1e-9)
    expected = abs(np.log(now.std(ddof=1) / then.std(ddof=1)))
    assert standard_deviation_shift(*sides).value == pytest.approx(expected, rel=1e-6)
    quantiles = np.abs(np.quantile(now, (0.1, 0.5, 0.9)) - np.quantile(then, (0.1, 0.5, 0.9)))
    assert quantile_shift(*sides).value == pytest.approx(quantiles.max() / then.std(), rel=0.08, abs=0.02)
    # Welch's test takes each side's own spread, ours the larger of both: it is never surer than that.
    assert mean_shift(*sides).p_value >= 0.9 * ttest_ind(then, now, equal_var=False).pvalue - 1e-12


def test_principal_components_reconstruct_as_scikit_learns_do() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(size=(3000, 3))
    values = np.hstack([base, base @ rng.normal(size=(3, 4)) + 0.3 * rng.normal(size=(3000, 4))]) * 10 + 5
    fitted = fit_principal_components([f"f{i}" for i in range(7)], values)
    assert fitted is not None
    scaled = zscore(values)
    others = PCA(n_components=VARIANCE, svd_solver="full").fit(scaled)
    errors = np.linalg.norm(scaled - others.inverse_transform(others.transform(scaled)), axis=1)
    assert len(fitted.axes) == others.n_components_
    assert reconstruction_errors(fitted, values) == pytest.approx(errors, rel=1e-9)
    assert fitted.error_mean == pytest.approx(errors.mean())
