"""The law of a figure: where it lies, how far it may be off, and on which scale. Interval and p-value are two views of it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from otel_mlmon.stats.inference.proportion import score_interval
from otel_mlmon.stats.inference.student import t_quantile, t_tail

Scale = Literal["plain", "positive", "complement", "square", "absolute", "share", "jaccard", "mostly_high", "logit"]


class SamplingDistribution(NamedTuple):
    """Student's law around `centre`: of the figure itself, or of what `scale` makes of it.

    - `plain` the figure; `absolute` a figure whose size alone counts.
    - `positive` a figure that cannot be below 0, with the further of two upper ends: that, and the one on the scale of the
      logarithm, since means of skewed losses fall short more often than not. `complement` one of 1 - the figure, `square` one
      of the square of the figure.
    - `share` a figure between 0 and 1; `jaccard` one of J, the figure being 2 J / (1 + J); `mostly_high` one with the further of
      two lower ends: that, and the one on the scale of the logit. `logit` log(x / (1 - x)) of the figure.
    """

    centre: float
    spread: float  # standard error on the scale
    freedom: float
    scale: Scale = "plain"
    slack: float = 0.0  # how much further up than the centre the truth may be for another reason than chance
    trials: float = 0.0  # the spread is no less than that of a share of so many trials


def interval_of(law: SamplingDistribution, confidence: float) -> tuple[float, float]:
    """Two-sided confidence interval of the figure; (NaN, NaN) where the law is not known. Wilson's (JASA 22, 1927) for a share of
    `trials` without a spread of its own. Raises ValueError unless 0 < confidence < 1.

    >>> low, high = interval_of(SamplingDistribution(9.0, 1.0, math.inf, "square"), 0.95)
    >>> round(low, 3), round(high, 3)
    (2.653, 3.345)
    """
    quantile = t_quantile(confidence, 1.0 if math.isnan(law.freedom) else law.freedom)
    reach = quantile * law.spread
    if math.isnan(reach) or math.isnan(law.centre):
        return math.nan, math.nan
    scale = law.scale
    centre = abs(law.centre) if scale == "absolute" else law.centre
    low, high = centre - reach, centre + law.slack + reach
    if law.trials:
        least, most = score_interval(centre, law.trials, quantile)
        low, high = min(low, least), max(high, most)
    if scale in ("positive", "complement", "square"):
        low = max(0.0, low)
        high = max(high, centre * math.exp(min(reach / centre, 700.0)) if centre > 0 else 0.0)
    elif scale == "mostly_high" and 0 < centre < 1:
        low = min(low, _expit(math.log(centre / (1 - centre)) - reach / (centre * (1 - centre))))
    elif scale == "absolute":
        low = _least_size(law, (1 - confidence) / 2)
    if scale in ("share", "mostly_high", "jaccard"):
        low, high = max(0.0, low), min(1.0, high)
    if scale == "complement":
        return 1 - high, 1 - low
    return _figure(low, scale), _figure(high, scale)


def tail(law: SamplingDistribution, limit: float, *, above: bool) -> float:
    """P-value of "the figure is at most `limit`" (`above`), or "at least". NaN where the law or the limit is not known.

    >>> round(tail(SamplingDistribution(9.0, 1.0, math.inf, "square"), 2.653, above=True), 3)
    0.025
    """
    sign = 1 if above else -1
    if math.isnan(limit) or math.isnan(law.spread) or math.isnan(law.centre):
        return math.nan
    if law.scale == "absolute" and above:
        return _size_exceeds(law, limit)
    if law.scale == "complement":
        sign, limit = -sign, 1 - limit
    elif law.scale == "square":
        limit = math.copysign(limit * limit, limit)
    elif law.scale == "jaccard":
        limit = limit / (2 - limit)
    elif law.scale == "logit":
        if not 0 < limit < 1:  # it takes no chance to be on this side of it
            return 1.0 if (limit <= 0) != above else 0.0
        limit = math.log(limit / (1 - limit))
    spread = law.spread
    if law.trials:
        spread = max(spread, math.sqrt(max(0.0, limit * (1 - limit)) / law.trials))
    centre = law.centre if sign > 0 else law.centre + law.slack
    return t_tail(sign * (centre - limit), spread, law.freedom)


def _figure(x: float, scale: Scale) -> float:
    if scale == "square":
        return math.sqrt(x)
    if scale == "jaccard":
        return 2 * x / (1 + x)
    return _expit(x) if scale == "logit" else x


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _size_exceeds(law: SamplingDistribution, limit: float) -> float:
    """Both tails, since a mean of either sign may have the size."""
    size = abs(law.centre)
    both = t_tail(size - limit, law.spread, law.freedom) + t_tail(size + limit, law.spread, law.freedom)
    return min(1.0, both)


def _least_size(law: SamplingDistribution, level: float) -> float:
    """The largest size that the test of sizes refuses at `level`, by bisection; 0 when it refuses none."""
    low, high = 0.0, abs(law.centre)
    if _size_exceeds(law, 0.0) > level:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _size_exceeds(law, middle) <= level else (low, middle)
    return low
