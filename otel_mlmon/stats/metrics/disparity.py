"""The largest difference between segments: are all of them served alike?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from otel_mlmon.stats.inference.estimate import Estimate, worse
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution


class Gap(NamedTuple):
    """The two segments that differ most surely by more than the limit. `p_value` is corrected for all `pairs`.

    `largest` is the largest difference of any two; chance alone may have made it, where the segments are small.
    """

    difference: float
    p_value: float
    lower: str  # the segment with the lower figure
    higher: str
    pairs: int
    largest: float


NO_GAP = Gap(math.nan, math.nan, "", "", 0, math.nan)


def largest_gap(figures: Mapping[str, Estimate], limit: float = 0.0) -> Gap:
    """P-value of "no two segments differ by more than `limit`", from each segment's figure, standard error and rows.

    Welch's t test of each pair, in both directions, with the larger of the two spreads on both sides, since a few rows that happen
    to be alike understate it; the smallest p-value times the number of pairs (Bonferroni; Holm's first step is
    the same). The pair is the one with that p-value, and of equal ones the one with the larger difference; where any two differ by
    more than the limit, it is two that do. Segments are independent samples. Those whose figure or standard error is not known are
    left out; with fewer than two of them: `NO_GAP`. Raises ValueError for a limit below 0.

    >>> figures = {name: Estimate(value, 0, 0, 0.01, 400) for name, value in [("a", 0.9), ("b", 0.8), ("c", 0.89)]}
    >>> gap = largest_gap(figures, limit=0.05)
    >>> gap.lower, gap.higher, round(gap.difference, 6), round(gap.p_value, 5), gap.pairs
    ('b', 'a', 0.1, 0.00065, 3)
    """
    if not limit >= 0:
        raise ValueError(f"limit must be 0 or more, found {limit}")
    known = {
        name: figure
        for name, figure in figures.items()
        if math.isfinite(figure.value) and math.isfinite(figure.standard_error) and figure.rows >= 2
    }
    if len(known) < 2:
        return NO_GAP
    tested = [
        (_p_value(figures[one], figures[two], limit), -abs(figures[one].value - figures[two].value), one, two)
        for one, two in combinations(sorted(known), 2)
    ]
    p_value, difference, one, two = min(tested)
    lower, higher = sorted((one, two), key=lambda name: figures[name].value)
    largest = max(f.value for f in known.values()) - min(f.value for f in known.values())
    return Gap(-difference, min(1.0, p_value * len(tested)), lower, higher, len(tested), largest)


def _p_value(one: Estimate, two: Estimate, limit: float) -> float:
    sides = (one, two)
    spread = max(side.standard_error**2 * side.rows for side in sides)
    variances = [spread / side.rows for side in sides]
    by_freedom = sum(v * v / (side.rows - 1) for v, side in zip(variances, sides, strict=True))
    freedom = sum(variances) ** 2 / by_freedom if by_freedom > 0 else math.inf
    difference, error = abs(one.value - two.value), math.sqrt(sum(variances))
    law = SamplingDistribution(difference, error, freedom, "absolute")
    return worse(Estimate(difference, math.nan, math.nan, error, one.rows + two.rows, law), limit, "lower")
