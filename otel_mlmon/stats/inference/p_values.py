"""Combination of p-values, and correction for multiple testing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


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


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: rejecting those below q keeps the expected share of false rejections below q; if nothing has changed
    at all, the probability of any rejection. Source: Benjamini and Hochberg, JRSS B 57 (1995). NaN stays NaN and is no test.

    >>> [round(q, 4) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.005])]
    [0.02, 0.04, 0.04, 0.02]
    """
    tested = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    if not tested:
        return [math.nan] * len(p_values)
    p = np.array([p_values[i] for i in tested])
    order = np.argsort(p)
    scaled = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    found = [math.nan] * len(p_values)
    for place, value in zip(order.tolist(), adjusted.tolist(), strict=True):
        found[tested[place]] = float(value)
    return found
