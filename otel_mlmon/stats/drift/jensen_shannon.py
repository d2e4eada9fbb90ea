"""Jensen-Shannon distance: a bounded, symmetric measure of how far apart two distributions are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from otel_mlmon.stats.counts import occupied
from otel_mlmon.stats.drift.homogeneity import homogeneity_p_value
from otel_mlmon.stats.effect import UNDEFINED, Effect

if TYPE_CHECKING:
    from otel_mlmon.values import Counts


def jensen_shannon(reference: Counts, window: Counts) -> Effect:
    """Square root of (KL(p || m) + KL(q || m)) / 2, m = (p + q) / 2, logarithm to base 2: 0 (same) to 1 (disjoint).

    Source: Endres and Schindelin, A new metric for probability distributions, IEEE Transactions on Information Theory
    49 (2003). The p-value is the likelihood ratio test's (`homogeneity_p_value`), whose statistic is the same
    divergence with the sides weighted by their rows.

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> import numpy as np
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
    return Effect(min(max(bits, 0.0), 1.0) ** 0.5, homogeneity_p_value(*pair))
