"""Two-sample tests of distribution functions: Kolmogorov-Smirnov, Cramér-von Mises, Anderson-Darling."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.stats.drift.distribution import UNDEFINED, Effect, aligned, occupied

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats


def kolmogorov_smirnov(reference: Counts, window: Counts) -> Effect:
    """D = max |F(x) - G(x)| at the edges of ordered bins, 0 to 1.

    A lower bound of the D of the raw values, at most `binning_error` below it. The p-value is Kolmogorov's limit law
    (Smirnov 1948) at D sqrt(nm / (n + m)); since bins and small samples only make D smaller, it errs towards "no
    drift".

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> import numpy as np
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
    return Effect(value, float(kolmogorov(value * (rows[0] * rows[1] / (rows[0] + rows[1])) ** 0.5)))


def binning_error(reference: Counts) -> float:
    """Most that the binned D can fall short of the exact one: the largest share of one reference bin; NaN if empty.

    Inside a bin both distributions only grow, so the gap exceeds that at one of the edges by at most what one side
    gains in the bin.

    >>> import numpy as np
    >>> binning_error(np.array([20, 50, 30]))
    0.5
    """
    rows = int(reference.sum())
    return float(reference.max()) / rows if rows else float("nan")


def kolmogorov_smirnov_exact(reference: Floats, window: Floats) -> Effect:
    """D and p-value from raw values (`scipy.stats.ks_2samp`: the exact law up to 10,000 values, else the asymptotic
    one).

    Raises ValueError when a value is NaN; NaN when a side is empty.

    >>> import numpy as np
    >>> kolmogorov_smirnov_exact(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 4.5, 5.5, 6.5])).value
    0.75
    """
    for side, values in (("reference", reference), ("window", window)):
        if np.isnan(values).any():
            raise ValueError(f"{side} values must not be NaN, found {int(np.isnan(values).sum())} of {values.size}")
    if not reference.size or not window.size:
        return UNDEFINED
    from scipy.stats import ks_2samp

    result = ks_2samp(reference, window)
    return Effect(float(result.statistic), float(result.pvalue))


def cramer_von_mises(reference: Counts, window: Counts) -> Effect:
    """Root mean square gap of the two distribution functions, 0 to 1, over the pooled values; ties take the middle of their bin.

    The p-value is that of the statistic nm / (n + m) times the mean square gap: its limit law (Anderson, Annals of Mathematical
    Statistics 33, 1962), a weighted sum of chi-squared variables whose weights follow from the bins, by Imhof's three-moment
    fit (Pearson 1959).

    >>> effect = cramer_von_mises(np.array([50, 50, 0]), np.array([0, 50, 50]))
    >>> round(effect.value, 3), effect.p_value < 1e-6
    (0.395, True)
    """
    return _quadratic(reference, window, np.ones_like)


def anderson_darling(reference: Counts, window: Counts) -> Effect:
    """As `cramer_von_mises`, gaps weighted by 1 / (H (1 - H)) of the pooled distribution H: the tails count more.

    The value is the root of the weighted mean square, 0 (same) to about 2 (disjoint). Source: Scholz and Stephens, K-sample
    Anderson-Darling tests, JASA 82 (1987), the version for ties.

    >>> anderson_darling(np.array([50, 50]), np.array([50, 50])).value
    0.0
    """
    return _quadratic(reference, window, lambda h: 1 / np.maximum(h * (1 - h), 1e-12))


def _quadratic(reference: Counts, window: Counts, weight: object) -> Effect:
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    m, n = pair[0].sum(), pair[1].sum()
    pooled = (pair[0] + pair[1]) / (m + n)
    if len(pooled) == 1:
        return Effect(0.0, 1.0)
    gaps = _middle(pair[1] / n) - _middle(pair[0] / m)
    weights = weight(_middle(pooled)) * pooled  # type: ignore[operator]
    square = float((weights * gaps**2).sum())
    return Effect(math.sqrt(square), _tail(square * n * m / (n + m), pooled, weights))


def _middle(shares: Floats) -> Floats:
    found: Floats = shares.cumsum() - shares / 2
    return found


def _tail(statistic: float, pooled: Floats, weights: Floats) -> float:
    """P(sum of lambda_i chi²_1 >= statistic), lambda the eigenvalues of the weighted covariance of the gaps."""
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
