"""Distances of two distributions, from their counts (vectors of floats) over the cells that one of them occupies.

Both sides have rows. `methods.COUNT_METHODS` pairs each distance with a p-value.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from otel_mlmon.stats.drift.homogeneity import SPARSE, expected, homogeneity_p_value
from otel_mlmon.values import Floats


def hellinger(reference: Floats, window: Floats) -> float:
    """Return sqrt(1 - sum sqrt(p q)) = sqrt(sum (sqrt p - sqrt q)² / 2), 0 (same) to 1 (disjoint).

    Source: Hellinger 1909; Pollard, A User's Guide to Measure Theoretic Probability, 2002.

    >>> round(hellinger(np.array([50.0, 50.0]), np.array([90.0, 10.0])), 4)
    0.3249
    """
    # 1 - overlap would lose all digits where the two are nearly the same.
    apart = np.sqrt(reference / reference.sum()) - np.sqrt(window / window.sum())
    return math.sqrt(0.5 * float(apart @ apart))


def l_infinity(reference: Floats, window: Floats) -> float:
    """Return the largest difference of a cell's shares, 0 to 1: TensorFlow Data Validation's measure for categories.

    >>> l_infinity(np.array([50.0, 50.0]), np.array([75.0, 25.0]))
    0.25
    """
    return float(np.abs(reference / reference.sum() - window / window.sum()).max())


def cramers_v(reference: Floats, window: Floats) -> float:
    """Return Cramér's V, 0 (same) to 1 (disjoint), corrected for the bias of many cells and few rows.

    Source: Bergsma, A bias-correction for Cramér's V and Tschuprow's T, Journal of the Korean Statistical Society 42
    (2013). Both sides have the same weight, since plain V shrinks as the reference grows and would need a threshold per
    window size. For sides of the same size it is Bergsma's V.

    >>> round(cramers_v(np.array([10.0, 30.0]), np.array([30.0, 10.0])), 4)
    0.4903
    """
    n, m, k = float(window.sum()), float(reference.sum()), len(reference)
    p, q = reference / m, window / n
    phi_squared = float(((p - q) ** 2 / (p + q)).sum()) / 2  # X² / rows of the table in which both sides weigh 1/2
    rows = 4 / (1 / n + 1 / m)  # n + m when n = m: the variance of p - q depends on nothing else
    columns = k - (k - 1) ** 2 / (rows - 1)
    smaller = min(columns, 2 - 1 / (rows - 1)) - 1
    if smaller <= 0:  # more cells than rows can tell apart: chance explains any difference
        return 0.0
    unbiased = max(0.0, phi_squared - (k - 1) / (rows - 1))
    return float(min(1.0, unbiased / smaller) ** 0.5)


def jensen_shannon(reference: Floats, window: Floats) -> float:
    """Return sqrt((KL(p || m) + KL(q || m)) / 2), m = (p + q) / 2, logarithm to base 2: 0 (same) to 1 (disjoint).

    The statistic of the likelihood ratio test is the same divergence with the sides weighted by their rows. Source:
    Endres and Schindelin, A new metric for probability distributions, IEEE Transactions on Information Theory 49
    (2003).

    >>> round(jensen_shannon(np.array([90.0, 10.0]), np.array([50.0, 50.0])), 5)
    0.38314
    """
    from scipy.special import rel_entr

    p, q = reference / reference.sum(), window / window.sum()
    middle = (p + q) / 2
    bits = float((rel_entr(p, middle) + rel_entr(q, middle)).sum()) / 2 / math.log(2)
    return math.sqrt(min(max(bits, 0.0), 1.0))


_PSEUDO_COUNT: Final = 0.5  # replaces 0 in a cell that is empty on one side, so that the logarithm exists


def psi(reference: Floats, window: Floats) -> float:
    """Return the population stability index: sum over cells of (q - p) ln(q / p), 0 (same) without upper limit.

    p and q are the cells' shares in reference and window. A cell that is empty on one side counts 0.5 there, before
    shares are taken. Also known as the Jeffreys divergence.

    >>> round(psi(np.array([500.0, 300.0, 200.0]), np.array([400.0, 300.0, 300.0])), 5)
    0.06286
    """
    p, q = _shares(reference), _shares(window)
    return float(((q - p) * np.log(q / p)).sum())


def psi_p_value(reference: Floats, window: Floats) -> float:
    """Return the p-value of the PSI: that of value / (1/n + 1/m) as chi-squared with B - 1 degrees of freedom.

    B is the number of occupied cells (Yurdakul, Statistical Properties of Population Stability Index, Western Michigan
    University, 2018). With a few dozen rows a cell this is too sure, so the p-value is at least that of the likelihood
    ratio test (`homogeneity_p_value`). With an expected count below 5 it has no power, so that test alone decides.

    >>> psi_p_value(np.array([500.0, 300.0, 200.0]), np.array([400.0, 300.0, 300.0])) < 1e-6
    True
    """
    p_value = homogeneity_p_value(reference, window)
    if len(reference) == 1 or min(side.min() for side in expected(reference, window)) < SPARSE:
        return p_value
    from scipy.special import chdtrc

    statistic = psi(reference, window) / (1 / reference.sum() + 1 / window.sum())
    return max(p_value, float(chdtrc(len(reference) - 1, statistic)))


def _shares(counts: Floats) -> Floats:
    smoothed = np.where(counts == 0, _PSEUDO_COUNT, counts)
    shares: Floats = smoothed / smoothed.sum()
    return shares
