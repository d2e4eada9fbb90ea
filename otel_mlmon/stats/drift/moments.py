"""Shifts of mean, standard deviation and quantiles, in standard deviations of the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np

from otel_mlmon.stats.drift.distribution import UNDEFINED, Distribution, TestResult, aligned
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov
from otel_mlmon.stats.inference.p_values import two_sided
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.values import Floats

_QUANTILES: Final = (0.1, 0.5, 0.9)
_CONSTANT: Final = 1e-12


def mean_shift(reference: Distribution, window: Distribution) -> TestResult:
    """Return |difference of the means| in standard deviations of the reference (Glass's delta).

    The p-value is that of a z test with the larger of both standard deviations, which errs towards "no drift".

    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(mean_shift(then, now).value, 2)
    1.73
    """
    if reference.numbers < 2 or window.numbers < 2:
        return UNDEFINED
    deviations = [standard_deviation(side.sum, side.sum_squares, side.numbers) for side in (reference, window)]
    difference = abs(mean(window.sum, window.numbers) - mean(reference.sum, reference.numbers))
    unit = deviations[0] if deviations[0] > _CONSTANT else max(deviations[1], difference, _CONSTANT)
    error = max(deviations) * math.sqrt(_per_row(reference) + _per_row(window))
    if not math.isfinite(difference):
        return UNDEFINED
    return TestResult(difference / unit, two_sided(difference / error) if error > 0 else float(difference == 0))


def standard_deviation_shift(reference: Distribution, window: Distribution) -> TestResult:
    """Return |ln of the ratio of standard deviations|.

    The p-value is that of a z test. Its standard error follows from the kurtosis of the bins (Layard, JASA 68, 1973),
    at least that of a normal distribution.

    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(standard_deviation_shift(then, now).value, 2)
    0.0
    """
    if reference.numbers < 3 or window.numbers < 3:
        return UNDEFINED
    before, now = (standard_deviation(side.sum, side.sum_squares, side.numbers) for side in (reference, window))
    if before <= 0 or now <= 0:
        return TestResult(0.0, 1.0) if before == now else TestResult(math.log(1e6), 0.0)
    value = abs(math.log(now / before))
    if not math.isfinite(value):
        return UNDEFINED
    kurtosis = max(3.0, _kurtosis(reference), _kurtosis(window))
    error = math.sqrt((kurtosis - 1) / 4 * (_per_row(reference) + _per_row(window)))
    return TestResult(value, two_sided(value / error))


def quantile_shift(reference: Distribution, window: Distribution) -> TestResult:
    """Return the largest shift of the 10 %, 50 % and 90 % quantiles, in standard deviations of the reference.

    Quantiles are interpolated within bins. The p-value is that of the Kolmogorov-Smirnov test: the standard error of a
    quantile depends on the density, the difference of distribution functions does not.

    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(quantile_shift(then, now).value, 2)
    1.73
    """

    def shift(x: Floats, then: Floats, now: Floats) -> float:
        return max(abs(float(np.interp(q, now, x)) - float(np.interp(q, then, x))) for q in _QUANTILES)

    return _between_functions(reference, window, shift)


def wasserstein(reference: Distribution, window: Distribution) -> TestResult:
    """Return the 1-Wasserstein (earth mover's) distance in standard deviations of the reference.

    It is the area between the distribution functions; values are uniform within bins, and between the outer edges and
    the extremes. The p-value is that of the Kolmogorov-Smirnov test.

    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(wasserstein(then, now).value, 2)
    1.73
    """

    def area(x: Floats, then: Floats, now: Floats) -> float:
        # Exact for lines that do not cross within a piece, slightly too large where they do.
        return float(np.trapezoid(np.abs(now - then), x))

    return _between_functions(reference, window, area)


def _per_row(side: Distribution) -> float:
    """Return one over the effective rows."""
    return side.design_effect / side.numbers


def _kurtosis(side: Distribution) -> float:
    if len(side.edges) < 2:
        return math.nan
    low, high = _finite(side.minimum, side.edges[0]), _finite(side.maximum, side.edges[-1])
    x = np.concatenate([[low], (np.array(side.edges[:-1]) + side.edges[1:]) / 2, [high]])
    p = side.counts / max(side.rows, 1)
    centred = x - float((p * x).sum())
    variance = float((p * centred**2).sum())
    return float((p * centred**4).sum()) / variance**2 if variance > 0 else math.nan


def _between_functions(
    reference: Distribution, window: Distribution, distance: Callable[[Floats, Floats, Floats], float]
) -> TestResult:
    """Return a distance of the distribution functions, from the points where both bend and their values there."""
    pair = aligned(reference.counts, window.counts)
    if pair is None or len(reference.edges) < 2:
        return UNDEFINED
    first, last = reference.edges[0], reference.edges[-1]
    low = min(first, *(_finite(side.minimum, first) for side in (reference, window)))
    high = max(last, *(_finite(side.maximum, last) for side in (reference, window)))
    then, now = (np.concatenate([[0.0], side.cumsum() / side.sum()]) for side in pair)
    size = distance(np.array([low, *reference.edges, high]), then, now)
    deviation = standard_deviation(reference.sum, reference.sum_squares, reference.numbers)
    p_value = kolmogorov_smirnov(reference.independent, window.independent).p_value
    return TestResult(size / deviation if deviation > _CONSTANT else float(size > 0), p_value)


def _finite(value: float, otherwise: float) -> float:
    return value if math.isfinite(value) else otherwise
