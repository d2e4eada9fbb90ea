"""Combination of p-values, and correction for multiple testing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


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
