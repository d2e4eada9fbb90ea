"""Distances over unordered cells: Hellinger's, the largest difference, and G."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.stats.counts import occupied
from otel_mlmon.stats.drift.chi_squared import cramers_v
from otel_mlmon.stats.drift.homogeneity import homogeneity_p_value
from otel_mlmon.stats.effect import UNDEFINED, Effect

if TYPE_CHECKING:
    from otel_mlmon.values import Counts


def hellinger(reference: Counts, window: Counts) -> Effect:
    """sqrt(1 - sum sqrt(p q)) = sqrt(sum (sqrt p - sqrt q)² / 2), 0 (same) to 1 (disjoint). Source: Hellinger 1909; Pollard,
    A User's Guide to Measure Theoretic Probability, 2002. The p-value is the likelihood ratio test's.

    >>> effect = hellinger(np.array([50, 50]), np.array([90, 10]))
    >>> round(effect.value, 4)
    0.3249
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    # 1 - overlap would lose all digits where the two are nearly the same.
    apart = np.sqrt(pair[0] / pair[0].sum()) - np.sqrt(pair[1] / pair[1].sum())
    return Effect(math.sqrt(0.5 * float(apart @ apart)), homogeneity_p_value(*pair))


def l_infinity(reference: Counts, window: Counts) -> Effect:
    """Largest difference of a cell's shares, 0 to 1; TensorFlow Data Validation's measure for categories. The p-value is the
    likelihood ratio test's.

    >>> l_infinity(np.array([50, 50]), np.array([75, 25])).value
    0.25
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    difference = np.abs(pair[0] / pair[0].sum() - pair[1] / pair[1].sum())
    return Effect(float(difference.max()), homogeneity_p_value(*pair))


def g_test(reference: Counts, window: Counts) -> Effect:
    """Cramér's V as in `chi_squared`, with the p-value of the likelihood ratio test. Source: Sokal and Rohlf, Biometry, 1981.

    >>> round(g_test(np.array([10, 30]), np.array([30, 10])).value, 4)
    0.4903
    """
    pair = occupied(reference, window)
    return UNDEFINED if pair is None else Effect(cramers_v(*pair), homogeneity_p_value(*pair))
