"""The sampling distribution of a metric's value. Confidence interval and p-value both follow from it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from otel_mlmon.stats.inference.p_values import t_quantile, t_tail
from otel_mlmon.stats.inference.proportion import score_interval

Scale = Literal["plain", "positive", "complement", "square", "absolute", "share", "jaccard", "mostly_high", "logit"]


class SamplingDistribution(NamedTuple):
    """Student's t distribution around `centre`, of the value itself or of the value on another `scale`.

    - `plain`: the value. `absolute`: a value whose sign does not count.
    - `positive`: a value of at least 0. Means of skewed losses are more often too low than too high, so the upper end
      is the larger of two: on the plain scale, and on the scale of the logarithm.
    - `complement`: 1 - value, as `positive`. `square`: the value's square, as `positive`.
    - `share`: a value between 0 and 1. `jaccard`: J of a value 2 J / (1 + J).
    - `mostly_high`: a share whose lower end is the smaller of two: on the plain scale, and on the scale of the logit.
    - `logit`: log(x / (1 - x)) of a value x.
    """

    centre: float
    standard_error: float  # on the scale
    df: float  # degrees of freedom
    scale: Scale = "plain"
    slack: float = 0.0  # how far above the centre the true value may lie for another reason than chance
    trials: float = 0.0  # the standard error is no less than that of a share of so many trials


def interval_of(distribution: SamplingDistribution, confidence: float) -> tuple[float, float]:
    """Return the two-sided confidence interval (low, high); (NaN, NaN) when the distribution is not known.

    Wilson's (JASA 22, 1927) for a share of `trials` with a standard error of 0. Raises ValueError unless
    0 < confidence < 1.

    >>> low, high = interval_of(SamplingDistribution(9.0, 1.0, math.inf, "square"), 0.95)
    >>> round(low, 3), round(high, 3)
    (2.653, 3.345)
    """
    quantile = t_quantile(confidence, 1.0 if math.isnan(distribution.df) else distribution.df)
    reach = quantile * distribution.standard_error
    if math.isnan(reach) or math.isnan(distribution.centre):
        return math.nan, math.nan
    scale = distribution.scale
    centre = abs(distribution.centre) if scale == "absolute" else distribution.centre
    low, high = centre - reach, centre + distribution.slack + reach
    if distribution.trials:
        least, most = score_interval(centre, distribution.trials, quantile)
        low, high = min(low, least), max(high, most)
    if scale in ("positive", "complement", "square"):
        low = max(0.0, low)
        high = max(high, centre * math.exp(min(reach / centre, 700.0)) if centre > 0 else 0.0)
    elif scale == "mostly_high" and 0 < centre < 1:
        low = min(low, _expit(math.log(centre / (1 - centre)) - reach / (centre * (1 - centre))))
    elif scale == "absolute":
        low = _least_size(distribution, (1 - confidence) / 2)
    if scale in ("share", "mostly_high", "jaccard"):
        low, high = max(0.0, low), min(1.0, high)
    if scale == "complement":
        return 1 - high, 1 - low
    return _value(low, scale), _value(high, scale)


def tail(distribution: SamplingDistribution, limit: float, *, above: bool) -> float:
    """Return the p-value of "the value is at most `limit`" (`above`) or "at least `limit`"; NaN when not known.

    >>> round(tail(SamplingDistribution(9.0, 1.0, math.inf, "square"), 2.653, above=True), 3)
    0.025
    """
    sign = 1 if above else -1
    if math.isnan(limit) or math.isnan(distribution.standard_error) or math.isnan(distribution.centre):
        return math.nan
    if distribution.scale == "absolute" and above:
        return _size_exceeds(distribution, limit)
    if distribution.scale == "complement":
        sign, limit = -sign, 1 - limit
    elif distribution.scale == "square":
        limit = math.copysign(limit * limit, limit)
    elif distribution.scale == "jaccard":
        limit = limit / (2 - limit)
    elif distribution.scale == "logit":
        if not 0 < limit < 1:  # the value lies between 0 and 1 for certain
            return 1.0 if (limit <= 0) != above else 0.0
        limit = math.log(limit / (1 - limit))
    error = distribution.standard_error
    if distribution.trials:
        error = max(error, math.sqrt(max(0.0, limit * (1 - limit)) / distribution.trials))
    centre = distribution.centre if sign > 0 else distribution.centre + distribution.slack
    return t_tail(sign * (centre - limit), error, distribution.df)


def _value(x: float, scale: Scale) -> float:
    if scale == "square":
        return math.sqrt(x)
    if scale == "jaccard":
        return 2 * x / (1 + x)
    return _expit(x) if scale == "logit" else x


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _size_exceeds(distribution: SamplingDistribution, limit: float) -> float:
    """Add both tails, since a mean of either sign may have the size."""
    size, error, df = abs(distribution.centre), distribution.standard_error, distribution.df
    return min(1.0, t_tail(size - limit, error, df) + t_tail(size + limit, error, df))


def _least_size(distribution: SamplingDistribution, level: float) -> float:
    """Find by bisection the largest size that the test of sizes rejects at `level`; 0 when it rejects none."""
    low, high = 0.0, abs(distribution.centre)
    if _size_exceeds(distribution, 0.0) > level:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _size_exceeds(distribution, middle) <= level else (low, middle)
    return low
