"""Two windows that both point the same way."""

from __future__ import annotations

import math


def combined(p_value: float, before: float, correlation: float) -> float:
    """One p-value of two windows: Stouffer's sum of normal scores, which share a reference and so are correlated.

    Source: Stouffer et al., The American Soldier, 1949; with correlation r the sum has variance 2 + 2 r. With r = 1 the second
    window adds nothing.

    >>> round(combined(0.01, 0.01, 0.0), 5), round(combined(0.01, 0.01, 1.0), 5)
    (0.0005, 0.01)
    """
    from scipy.special import ndtr, ndtri

    tiny, whole = 1e-300, 1 - 1e-16
    scores = [-float(ndtri(min(max(p, tiny), whole))) for p in (p_value, before)]
    return float(ndtr(-sum(scores) / math.sqrt(2 + 2 * correlation)))
