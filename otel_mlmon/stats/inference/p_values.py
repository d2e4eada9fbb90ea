"""P-values by the normal and Student's t distributions, their combination, and correction for multiple testing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def two_sided(z: float) -> float:
    """Return P(|Z| >= |z|) of a standard normal Z; NaN for NaN.

    >>> round(two_sided(1.959964), 4)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2))


def t_tail(difference: float, standard_error: float, df: float) -> float:
    """Return P(T >= difference / standard_error), T having Student's t distribution.

    `df` are the degrees of freedom, 1 or more; infinitely many give the normal distribution. A standard error of 0
    gives 0 when the difference is above 0, else 1. NaN for NaN.

    >>> round(t_tail(2.0, 1.0, 10), 4)
    0.0367
    >>> t_tail(-1.0, 0.0, 10)
    1.0
    """
    if math.isnan(difference) or math.isnan(standard_error):
        return math.nan
    if standard_error == 0:
        return 0.0 if difference > 0 else 1.0
    from scipy.special import ndtr, stdtr

    t = -difference / standard_error
    return float(ndtr(t) if math.isinf(df) else stdtr(df, t))


def t_quantile(confidence: float, df: float) -> float:
    """Return the half width, in standard errors, of a two-sided interval of `confidence` with `df` degrees of freedom.

    Raises ValueError unless 0 < confidence < 1.

    >>> round(t_quantile(0.95, 10), 4), round(t_quantile(0.95, math.inf), 4)
    (2.2281, 1.96)
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, found {confidence}")
    from scipy.special import ndtri, stdtrit

    upper = (1 + confidence) / 2
    return float(ndtri(upper) if math.isinf(df) else stdtrit(df, upper))


def combined_p_value(p_value: float, before: float, correlation: float) -> float:
    """Combine the p-values of two windows: Stouffer's sum of normal scores.

    Two windows share a reference, so their scores are correlated; with correlation r the sum has variance 2 + 2 r.
    With r = 1 the second window adds nothing. Source: Stouffer et al., The American Soldier, 1949.

    >>> round(combined_p_value(0.01, 0.01, 0.0), 5), round(combined_p_value(0.01, 0.01, 1.0), 5)
    (0.0005, 0.01)
    """
    from scipy.special import ndtr, ndtri

    smallest, largest = 1e-300, 1 - 1e-16
    scores = [-float(ndtri(min(max(p, smallest), largest))) for p in (p_value, before)]
    return float(ndtr(-sum(scores) / math.sqrt(2 + 2 * correlation)))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for multiple testing; NaN stays NaN and is no test.

    Rejection of those below q keeps the expected share of false rejections below q. Source: Benjamini and Hochberg,
    JRSS B 57 (1995), by scipy.stats.false_discovery_control.

    >>> [round(q, 4) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.005])]
    [0.02, 0.04, 0.04, 0.02]
    """
    adjusted = np.array(p_values, dtype=np.float64)
    tested = ~np.isnan(adjusted)
    if tested.any():
        from scipy.stats import false_discovery_control

        adjusted[tested] = false_discovery_control(adjusted[tested])
    return [float(p) for p in adjusted]
