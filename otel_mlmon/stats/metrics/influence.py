"""The influence of each row on a metric: interval, p-value and paired comparison all follow from it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from otel_mlmon.stats.inference.estimate import Estimate, estimated
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution, Scale
from otel_mlmon.values import Floats


class Influence(NamedTuple):
    """A metric's value, and the influence of each row (query, for a ranking) on it.

    `of_rows` sums to 0, and its sum of squares is the variance of the value. `excess` is variance that the rows of
    this sample do not show. Source: the infinitesimal jackknife, Efron, Biometrika 68 (1981).
    """

    value: float
    of_rows: Floats
    distribution: SamplingDistribution
    excess: float = 0.0

    @property
    def standard_error(self) -> float:
        """Return the standard error in the unit of the value."""
        return math.sqrt(float(self.of_rows @ self.of_rows) + self.excess)

    def estimate(self, confidence: float) -> Estimate:
        """Return the value with its two-sided interval of `confidence`."""
        return estimated(self.value, self.standard_error, len(self.of_rows), self.distribution, confidence)


UNDEFINED = Influence(math.nan, np.zeros(0), SamplingDistribution(math.nan, math.nan, math.nan))


def mean_of(values: Floats, scale: Scale) -> Influence:
    """Return the influence on the mean of one value per row, with Student's t distribution on `scale`.

    >>> e = mean_of(np.array([1.0, 2.0, 3.0, 4.0]), "plain").estimate(0.95)
    >>> e.value, round(e.standard_error, 4), round(e.low, 4)
    (2.5, 0.6455, 0.4457)
    """
    n = len(values)
    if not n:
        return UNDEFINED
    value = float(values.mean())
    if n < 2:
        return Influence(value, np.zeros(n), SamplingDistribution(value, math.nan, math.nan, scale))
    of_rows = (values - value) / math.sqrt(n * (n - 1))
    error = math.sqrt(float(of_rows @ of_rows))
    return Influence(value, of_rows, SamplingDistribution(value, error, n - 1, scale))


def mean_of_classes(classes: list[tuple[Influence, float]]) -> Influence:
    """Return the influence on the mean over classes of a metric between 0 and 1, all on the same rows.

    The logit of the mean has a normal distribution. With each class comes its value, moved a little away from 0 and 1,
    so that there is a logit.

    >>> one = Influence(0.8, np.array([0.1, -0.1]), SamplingDistribution(0.8, 0.14, math.inf))
    >>> round(mean_of_classes([(one, 0.79), (one, 0.79)]).standard_error, 4)
    0.1414
    """
    if not classes:
        return UNDEFINED
    count, parts = len(classes), [part for part, _ in classes]
    of_rows = np.sum([part.of_rows for part in parts], axis=0) / count
    excess = sum(part.excess for part in parts) / count**2
    centre = sum(shrunk for _, shrunk in classes) / count
    error = math.sqrt(float(of_rows @ of_rows) + excess) / (centre * (1 - centre))
    distribution = SamplingDistribution(math.log(centre / (1 - centre)), error, math.inf, "logit")
    return Influence(sum(part.value for part in parts) / count, of_rows, distribution, excess)
