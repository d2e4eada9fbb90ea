"""The largest difference of a metric between segments, for fairness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from otel_mlmon.stats.inference.estimate import Estimate, worse
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution


class Disparity(NamedTuple):
    """The two segments that differ by more than the limit with the smallest p-value.

    `p_value` is corrected for all `pairs`. `largest` is the largest difference of any two segments; with small
    segments chance alone may have made it.
    """

    difference: float
    p_value: float
    lower: str  # the segment with the lower value
    higher: str
    pairs: int
    largest: float


NO_DISPARITY = Disparity(math.nan, math.nan, "", "", 0, math.nan)


def largest_disparity(estimates: Mapping[str, Estimate], limit: float = 0.0) -> Disparity:
    """Test "no two segments differ by more than `limit`", from each segment's value, standard error and rows.

    Welch's t test of each pair, in both directions, with the larger of both standard deviations on both sides, since a
    few similar rows understate theirs. The smallest p-value is multiplied by the number of pairs (Bonferroni; Holm's
    first step is the same). Among equal p-values the pair with the largest difference counts. Segments are independent
    samples. A segment with an unknown value or standard error is left out; with fewer than two segments the result is
    `NO_DISPARITY`. Raises ValueError for a limit below 0.

    >>> cases = [("a", 0.9), ("b", 0.8), ("c", 0.89)]
    >>> estimates = {name: Estimate(value, 0, 0, 0.01, 400) for name, value in cases}
    >>> disparity = largest_disparity(estimates, limit=0.05)
    >>> disparity.lower, disparity.higher, round(disparity.difference, 6), round(disparity.p_value, 5), disparity.pairs
    ('b', 'a', 0.1, 0.00065, 3)
    """
    if not limit >= 0:
        raise ValueError(f"limit must be 0 or more, found {limit}")
    known = {
        name: estimate
        for name, estimate in estimates.items()
        if math.isfinite(estimate.value) and math.isfinite(estimate.standard_error) and estimate.rows >= 2
    }
    if len(known) < 2:
        return NO_DISPARITY
    tested = [
        (_p_value(known[one], known[two], limit), -abs(known[one].value - known[two].value), one, two)
        for one, two in combinations(sorted(known), 2)
    ]
    p_value, difference, one, two = min(tested)
    lower, higher = sorted((one, two), key=lambda name: known[name].value)
    largest = max(e.value for e in known.values()) - min(e.value for e in known.values())
    return Disparity(-difference, min(1.0, p_value * len(tested)), lower, higher, len(tested), largest)


def _p_value(one: Estimate, two: Estimate, limit: float) -> float:
    sides = (one, two)
    variance = max(side.standard_error**2 * side.rows for side in sides)
    variances = [variance / side.rows for side in sides]
    denominator = sum(v * v / (side.rows - 1) for v, side in zip(variances, sides, strict=True))
    df = sum(variances) ** 2 / denominator if denominator > 0 else math.inf
    difference, error = abs(one.value - two.value), math.sqrt(sum(variances))
    distribution = SamplingDistribution(difference, error, df, "absolute")
    return worse(Estimate(difference, math.nan, math.nan, error, one.rows + two.rows, distribution), limit, "lower")
