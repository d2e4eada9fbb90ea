"""Normal and Student's t distributions: tail probabilities and quantiles."""

from __future__ import annotations

import math


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
