"""Pearson's chi-squared test of homogeneity, with Cramér's V as the size of the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_mlmon.stats.counts import occupied
from otel_mlmon.stats.drift.homogeneity import SPARSE, expected, homogeneity_p_value
from otel_mlmon.stats.effect import UNDEFINED, Effect

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats


def chi_squared(reference: Counts, window: Counts) -> Effect:
    """Cramér's V, 0 (same) to 1 (disjoint), and the p-value of Pearson's test; cells empty on both sides are left out.

    V is corrected for the bias that many cells and few rows bring: Bergsma, A bias-correction for Cramér's V and
    Tschuprow's T, Journal of the Korean Statistical Society 42 (2013). Both sides weigh the same, whatever their rows:
    plain V shrinks as the reference grows, so that one threshold could not serve two window sizes. For sides of the
    same size it is Bergsma's V.

    Where an expected count is below 5 (Cochran 1954), Pearson's law does not hold and the p-value is that of the
    likelihood ratio test (`homogeneity_p_value`), which needs no pooling.

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> import numpy as np
    >>> effect = chi_squared(np.array([10, 30]), np.array([30, 10]))
    >>> round(effect.value, 4), round(effect.p_value, 8)
    (0.4903, 7.74e-06)
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    return Effect(cramers_v(*pair), _p_value(*pair))


def cramers_v(reference: Floats, window: Floats) -> float:
    """Bias-corrected V of two occupied count vectors; see `chi_squared`.

    >>> import numpy as np
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


def _p_value(reference: Floats, window: Floats) -> float:
    if len(reference) == 1:
        return 1.0
    in_reference, in_window = expected(reference, window)
    if min(in_reference.min(), in_window.min()) < SPARSE:
        return homogeneity_p_value(reference, window)
    from scipy.special import chdtrc

    statistic = ((reference - in_reference) ** 2 / in_reference + (window - in_window) ** 2 / in_window).sum()
    return float(chdtrc(len(reference) - 1, statistic))
