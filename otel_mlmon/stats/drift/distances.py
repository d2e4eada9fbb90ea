"""Distances of two distributions over the same cells."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from otel_mlmon.stats.drift.distribution import UNDEFINED, TestResult, occupied
from otel_mlmon.stats.drift.homogeneity import SPARSE, cramers_v, expected, homogeneity_p_value
from otel_mlmon.values import Counts, Floats


def hellinger(reference: Counts, window: Counts) -> TestResult:
    """Return sqrt(1 - sum sqrt(p q)) = sqrt(sum (sqrt p - sqrt q)² / 2), 0 (same) to 1 (disjoint).

    Source: Hellinger 1909; Pollard, A User's Guide to Measure Theoretic Probability, 2002. The p-value is that of the
    likelihood ratio test.

    >>> effect = hellinger(np.array([50, 50]), np.array([90, 10]))
    >>> round(effect.value, 4)
    0.3249
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    # 1 - overlap would lose all digits where the two are nearly the same.
    apart = np.sqrt(pair[0] / pair[0].sum()) - np.sqrt(pair[1] / pair[1].sum())
    return TestResult(math.sqrt(0.5 * float(apart @ apart)), homogeneity_p_value(*pair))


def l_infinity(reference: Counts, window: Counts) -> TestResult:
    """Return the largest difference of a cell's shares, 0 to 1: TensorFlow Data Validation's measure for categories.

    The p-value is that of the likelihood ratio test.

    >>> l_infinity(np.array([50, 50]), np.array([75, 25])).value
    0.25
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    difference = np.abs(pair[0] / pair[0].sum() - pair[1] / pair[1].sum())
    return TestResult(float(difference.max()), homogeneity_p_value(*pair))


def g_test(reference: Counts, window: Counts) -> TestResult:
    """Return Cramér's V as in `chi_squared`, with the p-value of the likelihood ratio test.

    Source: Sokal and Rohlf, Biometry, 1981.

    >>> round(g_test(np.array([10, 30]), np.array([30, 10])).value, 4)
    0.4903
    """
    pair = occupied(reference, window)
    return UNDEFINED if pair is None else TestResult(cramers_v(*pair), homogeneity_p_value(*pair))


def jensen_shannon(reference: Counts, window: Counts) -> TestResult:
    """Return sqrt((KL(p || m) + KL(q || m)) / 2), m = (p + q) / 2, logarithm to base 2: 0 (same) to 1 (disjoint).

    Source: Endres and Schindelin, A new metric for probability distributions, IEEE Transactions on Information Theory
    49 (2003). The p-value is that of the likelihood ratio test (`homogeneity_p_value`); its statistic is the same
    divergence with the sides weighted by their rows.

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> effect = jensen_shannon(np.array([90, 10]), np.array([50, 50]))
    >>> round(effect.value, 5), effect.p_value < 1e-6
    (0.38314, True)
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    from scipy.special import rel_entr

    p, q = pair[0] / pair[0].sum(), pair[1] / pair[1].sum()
    middle = (p + q) / 2
    bits = float((rel_entr(p, middle) + rel_entr(q, middle)).sum()) / 2 / math.log(2)
    return TestResult(min(max(bits, 0.0), 1.0) ** 0.5, homogeneity_p_value(*pair))


_PSEUDO_COUNT: Final = 0.5  # replaces 0 in a cell that is empty on one side, so that the logarithm exists


def psi(reference: Counts, window: Counts) -> TestResult:
    """Return the population stability index: sum over cells of (q - p) ln(q / p), 0 (same) without upper limit.

    p and q are the cells' shares in reference and window. A cell that is empty on one side counts 0.5 there, before
    shares are taken; cells empty on both sides are left out. Also known as the Jeffreys divergence.

    The p-value takes value / (1/n + 1/m) as chi-squared with B - 1 degrees of freedom, B being the occupied cells
    (Yurdakul, Statistical Properties of Population Stability Index, Western Michigan University, 2018). With a few
    dozen rows a cell this is too sure, so the p-value is at least that of the likelihood ratio test
    (`homogeneity_p_value`). With an expected count below 5 it has no power, so that test alone decides.

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> effect = psi(np.array([500, 300, 200]), np.array([400, 300, 300]))
    >>> round(effect.value, 5), effect.p_value < 1e-6
    (0.06286, True)
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    p, q = _shares(pair[0]), _shares(pair[1])
    value = float(((q - p) * np.log(q / p)).sum())
    p_value = homogeneity_p_value(*pair)
    if len(p) > 1 and min(side.min() for side in expected(*pair)) >= SPARSE:
        from scipy.special import chdtrc

        p_value = max(p_value, float(chdtrc(len(p) - 1, value / (1 / pair[0].sum() + 1 / pair[1].sum()))))
    return TestResult(value, p_value)


def _shares(counts: Floats) -> Floats:
    smoothed = np.where(counts == 0, _PSEUDO_COUNT, counts)
    shares: Floats = smoothed / smoothed.sum()
    return shares
