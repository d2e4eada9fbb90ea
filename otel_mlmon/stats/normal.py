"""The standard normal distribution."""

from __future__ import annotations

import math


def two_sided(z: float) -> float:
    """P(|Z| >= |z|); NaN for NaN.

    >>> round(two_sided(1.959964), 4)
    0.05
    """
    return math.erfc(abs(z) / math.sqrt(2))
