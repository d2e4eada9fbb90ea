"""Tests that two count vectors come from one distribution: likelihood ratio and Pearson's chi-squared."""

from __future__ import annotations

from typing import Final

import numpy as np

from otel_mlmon.values import Floats

SPARSE: Final = 5.0  # Cochran (1954): below this expected count, large-sample distributions do not hold
_DENSE: Final = 30.0  # from this expected count on, a series is exact enough for the moments


def expected(reference: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Return the counts of each side if both had the distribution of their sum; no cell is empty on both sides.

    >>> expected(np.array([10.0, 30.0]), np.array([30.0, 10.0]))
    (array([20., 20.]), array([20., 20.]))
    """
    total = reference + window
    share = float(window.sum() / total.sum())
    return total * (1 - share), total * share


def likelihood_ratio(reference: Floats, window: Floats) -> float:
    """Return G = 2 sum over cells and sides of O ln(O / E), also called deviance.

    Source: Agresti, Categorical Data Analysis, 3rd ed., section 3.2.1.

    >>> round(likelihood_ratio(np.array([10.0, 30.0]), np.array([30.0, 10.0])), 4)
    20.9299
    """
    return float(_terms(reference, window, *expected(reference, window)).sum())


def homogeneity_p_value(reference: Floats, window: Floats) -> float:
    """Return the p-value of "both sides have one distribution"; no cell is empty on both sides, no side is empty.

    Chi-squared distribution of G, scaled to the mean and variance of G given the cell totals (Satterthwaite 1946). So
    rare categories need no pooling, which would hide a new category among old ones. For large counts this is the
    classical test with k - 1 degrees of freedom. Two cells with an expected count below 5: Fisher's exact test. One
    cell: 1.

    >>> round(homogeneity_p_value(np.array([5000.0, 5000.0]), np.array([240.0, 260.0])), 3)
    0.383
    """
    if len(reference) == 1:
        return 1.0
    in_reference, in_window = expected(reference, window)
    if len(reference) == 2 and min(in_reference.min(), in_window.min()) < SPARSE:
        from scipy.stats import fisher_exact  # here, because the import takes half a second

        return float(fisher_exact(np.stack([reference, window]).astype(np.int64)).pvalue)
    from scipy.special import chdtrc

    mean, variance = _moments(reference + window, float(window.sum() / (reference.sum() + window.sum())))
    scale = variance / (2 * mean)
    return float(chdtrc(mean / scale, likelihood_ratio(reference, window) / scale))


def _terms(reference: Floats, window: Floats, in_reference: Floats, in_window: Floats) -> Floats:
    from scipy.special import xlogy

    half = xlogy(reference, reference / in_reference) + xlogy(window, window / in_window)
    return np.asarray(np.maximum(2 * half, 0.0), dtype=np.float64)  # each is a divergence: below zero is rounding


def _moments(totals: Floats, share: float) -> tuple[float, float]:
    """Return mean and variance of G under homogeneity, given cell totals and one side's share of the rows.

    A cell's count on one side is binomial given its total. The factor 1 - total / rows accounts for the constraint
    that all cells add up to the rows of that side.
    """
    from scipy.special import gammaln, xlogy

    share = min(share, 1 - share)
    free = 1 - totals / totals.sum()
    series = (1 / share + 1 / (1 - share) - 1) / (6 * totals)  # Williams (1976), first order
    mean = np.asarray(1 + series, dtype=np.float64)
    variance = 2 * mean**2
    sparse = totals * share < _DENSE
    if sparse.any():
        sizes, where = np.unique(totals[sparse], return_inverse=True)
        n = sizes[:, None]
        reach = float(sizes[-1]) * share
        x = np.minimum(np.arange(int(reach + 12 * reach**0.5) + 30, dtype=np.float64), n)
        in_support = np.arange(x.shape[1]) <= n
        log_p = gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1) + xlogy(x, share) + (n - x) * np.log1p(-share)
        p = np.where(in_support, np.exp(log_p), 0.0)
        g = _terms(n - x, x, n * (1 - share), n * share)
        first = (p * g).sum(axis=1)
        mean[sparse] = first[where]
        variance[sparse] = ((p * g * g).sum(axis=1) - first**2)[where]
    return float((mean * free).sum()), float((variance * free).sum())


def pearson_p_value(reference: Floats, window: Floats) -> float:
    """Return the p-value of Pearson's chi-squared test that both sides have one distribution.

    When an expected count is below 5 (Cochran 1954) it does not hold; the p-value is then `homogeneity_p_value`, which
    needs no pooling.

    >>> round(pearson_p_value(np.array([10.0, 30.0]), np.array([30.0, 10.0])), 8)
    7.74e-06
    """
    if len(reference) == 1:
        return 1.0
    in_reference, in_window = expected(reference, window)
    if min(in_reference.min(), in_window.min()) < SPARSE:
        return homogeneity_p_value(reference, window)
    from scipy.special import chdtrc

    statistic = ((reference - in_reference) ** 2 / in_reference + (window - in_window) ** 2 / in_window).sum()
    return float(chdtrc(len(reference) - 1, statistic))
