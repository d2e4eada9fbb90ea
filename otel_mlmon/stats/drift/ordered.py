"""Two-sample tests of distribution functions: Kolmogorov-Smirnov, Cramér-von Mises, Anderson-Darling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from otel_mlmon.stats.drift.distribution import UNDEFINED, TestResult, aligned, occupied
from otel_mlmon.values import Counts, Floats


def kolmogorov_smirnov(reference: Counts, window: Counts) -> TestResult:
    """Return D = max |F(x) - G(x)| at the edges of ordered bins, 0 to 1.

    A lower bound of the D of the raw values, below it by at most the largest share of one reference bin: inside a bin
    both distribution functions only grow. The p-value is that of Kolmogorov's limit distribution (Smirnov 1948) at
    D sqrt(nm / (n + m)). Bins and small samples only make D smaller, so it errs towards "no drift".

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> effect = kolmogorov_smirnov(np.array([40, 30, 30]), np.array([20, 30, 50]))
    >>> round(effect.value, 6), round(effect.p_value, 6)
    (0.2, 0.036631)
    """
    pair = aligned(reference, window)
    if pair is None:
        return UNDEFINED
    from scipy.special import kolmogorov

    rows = pair[0].sum(), pair[1].sum()
    value = float(np.abs(pair[0].cumsum() / rows[0] - pair[1].cumsum() / rows[1]).max())
    return TestResult(value, float(kolmogorov(value * (rows[0] * rows[1] / (rows[0] + rows[1])) ** 0.5)))


def cramer_von_mises(reference: Counts, window: Counts) -> TestResult:
    """Return the root mean square difference of the distribution functions, 0 to 1, over the pooled values.

    Ties take the middle of their bin. The p-value is that of nm / (n + m) times the mean square difference. Its limit
    distribution (Anderson, Annals of Mathematical Statistics 33, 1962) is a weighted sum of chi-squared variables,
    with weights from the bins, here by Imhof's three-moment fit (Pearson 1959).

    >>> effect = cramer_von_mises(np.array([50, 50, 0]), np.array([0, 50, 50]))
    >>> round(effect.value, 3), effect.p_value < 1e-6
    (0.395, True)
    """
    return _quadratic(reference, window, np.ones_like)


def anderson_darling(reference: Counts, window: Counts) -> TestResult:
    """Return as `cramer_von_mises`, weighted by 1 / (H (1 - H)) of the pooled distribution H: the tails count more.

    The value is the root of the weighted mean square, 0 (same) to about 2 (disjoint). Source: Scholz and Stephens,
    K-sample Anderson-Darling tests, JASA 82 (1987), the version for ties.

    >>> anderson_darling(np.array([50, 50]), np.array([50, 50])).value
    0.0
    """
    return _quadratic(reference, window, lambda h: 1 / np.maximum(h * (1 - h), 1e-12))


def _quadratic(reference: Counts, window: Counts, weight: Callable[[Floats], Floats]) -> TestResult:
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    m, n = pair[0].sum(), pair[1].sum()
    pooled = (pair[0] + pair[1]) / (m + n)
    if len(pooled) == 1:
        return TestResult(0.0, 1.0)
    differences = _middle(pair[1] / n) - _middle(pair[0] / m)
    weights = weight(_middle(pooled)) * pooled
    square = float((weights * differences**2).sum())
    return TestResult(math.sqrt(square), _tail(square * n * m / (n + m), pooled, weights))


def _middle(shares: Floats) -> Floats:
    middle: Floats = shares.cumsum() - shares / 2
    return middle


def _tail(statistic: float, pooled: Floats, weights: Floats) -> float:
    """Return P(sum of lambda_i chi²_1 >= statistic), lambda the eigenvalues of the weighted covariance."""
    lower = np.tril(np.ones((len(pooled), len(pooled))), -1) + np.eye(len(pooled)) / 2
    covariance = lower @ (np.diag(pooled) - np.outer(pooled, pooled)) @ lower.T
    root = np.sqrt(weights)
    matrix = root[:, None] * covariance * root[None, :]
    first, second, third = (float(np.trace(np.linalg.matrix_power(matrix, k))) for k in (1, 2, 3))
    if not third > 0:
        return 1.0
    # Pearson's fit: a + b chi²_d with the same mean, variance and skewness.
    d = second**3 / third**2
    scale = third / second
    from scipy.special import gammaincc

    x = (statistic - first) / scale + d
    return float(gammaincc(d / 2, x / 2)) if x > 0 else 1.0
