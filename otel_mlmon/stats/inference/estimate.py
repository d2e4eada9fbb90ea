"""A figure with how well it is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution, interval_of, tail

__all__ = ["Better", "Estimate", "SamplingDistribution", "estimated", "unknown", "worse"]

Better = Literal["lower", "higher"]


class Estimate(NamedTuple):
    """A figure over `rows` rows (queries, for a ranking), and the ends of its confidence interval; NaN where not known.

    `standard_error` is in the unit of the value. `law` is what the interval was made of; without one it is Student's law of the
    two.
    """

    value: float
    low: float
    high: float
    standard_error: float
    rows: int
    law: SamplingDistribution | None = None


def estimated(value: float, standard_error: float, rows: int, law: SamplingDistribution, confidence: float) -> Estimate:
    """The estimate with its two-sided interval, which always holds the value. Raises ValueError unless 0 < confidence < 1.

    >>> e = estimated(2.0, 0.5, 30, SamplingDistribution(2.0, 0.5, 29), 0.95)
    >>> round(e.low, 3), round(e.high, 3)
    (0.977, 3.023)
    """
    low, high = interval_of(law, confidence)
    if math.isnan(value) or math.isnan(low):
        return unknown(value, rows)
    return Estimate(value, min(value, low), max(value, high), standard_error, rows, law)


def unknown(value: float = math.nan, rows: int = 0) -> Estimate:
    """An estimate of which nothing but perhaps the value is known.

    >>> unknown(0.7, rows=1).low
    nan
    """
    return Estimate(value, math.nan, math.nan, math.nan, rows, SamplingDistribution(math.nan, math.nan, math.nan))


def worse(estimate: Estimate, limit: float, better: Better) -> float:
    """P-value of "the figure is no worse than `limit`", one-sided: below half of 1 - confidence just where all of the interval is
    worse than the limit. NaN where the figure or its standard error is not known.

    >>> e = estimated(2.0, 0.5, 30, SamplingDistribution(2.0, 0.5, 29), 0.95)
    >>> round(worse(e, e.low, "lower"), 6), round(worse(e, e.high, "higher"), 6)
    (0.025, 0.025)
    """
    law = estimate.law or SamplingDistribution(estimate.value, estimate.standard_error, max(1, estimate.rows - 1))
    p_value = tail(law, limit, above=better == "lower")
    fine = estimate.value <= limit if better == "lower" else estimate.value >= limit
    return max(p_value, 0.5) if fine else p_value  # the centre of a law may be a little off the value


GROUPS: Final = 20
Groups = npt.NDArray[np.int64]


def jackknife(compute: Callable[[Groups], Sequence[float]], rows: int, confidence: float) -> Estimate:
    """Delete-a-group jackknife (Kott, The delete-a-group jackknife, Journal of Official Statistics 17, 2001): t interval with one
    degree of freedom less than groups. `compute` is given the group of each row, and returns the figure of all rows, then that of
    all but each group. NaN without rows; an interval needs two groups of at least two rows.

    >>> x = np.random.default_rng(0).normal(5, 1, 400)
    >>> found = jackknife(lambda g: [x.mean(), *(x[g != i].mean() for i in range(g.max() + 1))], 400, 0.95)
    >>> bool(found.low < 5 < found.high), abs(found.standard_error - 0.05) < 0.02
    (True, True)
    """
    n_groups = min(GROUPS, rows // 2)
    if rows == 0:
        return unknown()
    groups = np.random.default_rng(rows).permutation(rows) % max(n_groups, 1)
    value, *without = compute(groups)
    if n_groups < 2 or not math.isfinite(value):
        return unknown(value, rows)
    around = np.asarray(without) - value
    error = math.sqrt((n_groups - 1) / n_groups * float(around @ around))
    return estimated(value, error, rows, SamplingDistribution(value, error, n_groups - 1), confidence)
