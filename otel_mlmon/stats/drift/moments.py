"""Shifts in units that people know: standard deviations of the reference."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.stats.drift.distribution import UNDEFINED, Effect, aligned
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov
from otel_mlmon.stats.inference.student import two_sided
from otel_mlmon.stats.inference.summary import mean, standard_deviation

if TYPE_CHECKING:
    from otel_mlmon.stats.drift.distribution import Distribution
    from otel_mlmon.values import Floats

_QUANTILES: Final = (0.1, 0.5, 0.9)
_NO_SPREAD: Final = 1e-12


def mean_shift(reference: Distribution, window: Distribution) -> Effect:
    """|Difference of the means| in the reference's standard deviations (Cohen's d with one spread). The p-value is a z test with
    the larger of both spreads, which errs towards "no drift".

    >>> import numpy as np
    >>> from otel_mlmon.stats.drift.distribution import Distribution
    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(mean_shift(then, now).value, 2)
    1.73
    """
    if reference.numbers < 2 or window.numbers < 2:
        return UNDEFINED
    spreads = [standard_deviation(side.sum, side.sum_squares, side.numbers) for side in (reference, window)]
    difference = abs(mean(window.sum, window.numbers) - mean(reference.sum, reference.numbers))
    unit = spreads[0] if spreads[0] > _NO_SPREAD else max(spreads[1], difference, _NO_SPREAD)
    error = max(spreads) * math.sqrt(_worth(reference) + _worth(window))
    if not math.isfinite(difference):
        return UNDEFINED
    return Effect(difference / unit, two_sided(difference / error) if error > 0 else float(difference == 0))


def standard_deviation_shift(reference: Distribution, window: Distribution) -> Effect:
    """|ln of the ratio of standard deviations|. The p-value is a z test whose error follows from the kurtosis within the bins
    (Layard, JASA 68, 1973), never below that of a normal distribution.

    >>> import numpy as np
    >>> from otel_mlmon.stats.drift.distribution import Distribution
    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(standard_deviation_shift(then, now).value, 2)
    0.0
    """
    if reference.numbers < 3 or window.numbers < 3:
        return UNDEFINED
    before, now = (standard_deviation(side.sum, side.sum_squares, side.numbers) for side in (reference, window))
    if before <= 0 or now <= 0:
        return Effect(0.0, 1.0) if before == now else Effect(math.log(1e6), 0.0)
    value = abs(math.log(now / before))
    if not math.isfinite(value):
        return UNDEFINED
    kurtosis = max(3.0, _kurtosis(reference), _kurtosis(window))
    error = math.sqrt((kurtosis - 1) / 4 * (_worth(reference) + _worth(window)))
    return Effect(value, two_sided(value / error))


def quantile_shift(reference: Distribution, window: Distribution) -> Effect:
    """Largest shift of the 10 %, 50 % and 90 % quantiles, in the reference's standard deviations, by interpolation within bins.

    The p-value is the Kolmogorov-Smirnov test's: how far quantiles may move by chance depends on the density, the gap of the
    distribution functions does not.

    >>> import numpy as np
    >>> from otel_mlmon.stats.drift.distribution import Distribution
    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(quantile_shift(then, now).value, 2)
    1.73
    """
    points = _points(reference, window)
    if points is None:
        return UNDEFINED
    x, then, now = points
    spread = standard_deviation(reference.sum, reference.sum_squares, reference.numbers)
    moved = max(abs(float(np.interp(q, now, x)) - float(np.interp(q, then, x))) for q in _QUANTILES)
    p_value = kolmogorov_smirnov(reference.independent, window.independent).p_value
    return Effect(moved / spread if spread > _NO_SPREAD else float(moved > 0), p_value)


def wasserstein(reference: Distribution, window: Distribution) -> Effect:
    """Area between the two distribution functions in the reference's standard deviations: 1-Wasserstein (earth mover's)
    distance, values uniform within bins, those outside between the edge and the extreme. P-value: Kolmogorov-Smirnov's.

    >>> import numpy as np
    >>> from otel_mlmon.stats.drift.distribution import Distribution
    >>> then = Distribution(np.array([0, 50, 50, 0]), (0.0, 1.0, 2.0), 100, 100.0, 133.0, 0.0, 2.0)
    >>> now = Distribution(np.array([0, 0, 50, 50]), (0.0, 1.0, 2.0), 100, 200.0, 433.0, 1.0, 3.0)
    >>> round(wasserstein(then, now).value, 2)
    1.73
    """
    points = _points(reference, window)
    if points is None:
        return UNDEFINED
    x, then, now = points
    gaps, widths = np.abs(now - then), np.diff(x)
    # Exact for lines that do not cross within a piece, slightly too large where they do.
    area = float(((gaps[1:] + gaps[:-1]) / 2 * widths).sum())
    spread = standard_deviation(reference.sum, reference.sum_squares, reference.numbers)
    p_value = kolmogorov_smirnov(reference.independent, window.independent).p_value
    return Effect(area / spread if spread > _NO_SPREAD else float(area > 0), p_value)


def _worth(side: Distribution) -> float:
    return side.design_effect / side.numbers


def _kurtosis(side: Distribution) -> float:
    if len(side.edges) < 2:
        return math.nan
    x = np.concatenate([[_finite(side.minimum, side.edges[0])], (np.array(side.edges[:-1]) + side.edges[1:]) / 2,
                        [_finite(side.maximum, side.edges[-1])]])  # fmt: skip
    p = side.counts / max(side.rows, 1)
    centred = x - float((p * x).sum())
    variance = float((p * centred**2).sum())
    return float((p * centred**4).sum()) / variance**2 if variance > 0 else math.nan


def _points(reference: Distribution, window: Distribution) -> tuple[Floats, Floats, Floats] | None:
    """Where both distribution functions bend, and their values there."""
    pair = aligned(reference.counts, window.counts)
    if pair is None or len(reference.edges) < 2:
        return None
    low = min(
        _finite(reference.minimum, reference.edges[0]), _finite(window.minimum, reference.edges[0]), reference.edges[0]
    )
    high = max(
        _finite(reference.maximum, reference.edges[-1]),
        _finite(window.maximum, reference.edges[-1]),
        reference.edges[-1],
    )
    x = np.array([low, *reference.edges, high])
    then, now = (np.concatenate([[0.0], side.cumsum() / side.sum()]) for side in pair)
    return x, then, now


def _finite(value: float, otherwise: float) -> float:
    return value if math.isfinite(value) else otherwise
