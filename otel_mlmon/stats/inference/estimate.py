"""A metric's value with its confidence interval, the test against a limit, and the jackknife for any statistic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution, interval_of, tail

Better = Literal["lower", "higher"]
Groups = npt.NDArray[np.int64]
GROUPS: Final = 20


class Estimate(NamedTuple):
    """A value over `rows` rows (queries, for a ranking) with its confidence interval; NaN where not known.

    `standard_error` is in the unit of the value. The interval follows from `distribution`; without one, from Student's
    t distribution of the value and its standard error.
    """

    value: float
    low: float
    high: float
    standard_error: float
    rows: int
    distribution: SamplingDistribution | None = None


def estimated(
    value: float, standard_error: float, rows: int, distribution: SamplingDistribution, confidence: float
) -> Estimate:
    """Return the estimate with its two-sided interval, which always holds the value.

    Raises ValueError unless 0 < confidence < 1.

    >>> e = estimated(2.0, 0.5, 30, SamplingDistribution(2.0, 0.5, 29), 0.95)
    >>> round(e.low, 3), round(e.high, 3)
    (0.977, 3.023)
    """
    low, high = interval_of(distribution, confidence)
    if math.isnan(value) or math.isnan(low):
        return unknown(value, rows)
    return Estimate(value, min(value, low), max(value, high), standard_error, rows, distribution)


def unknown(value: float = math.nan, rows: int = 0) -> Estimate:
    """Return an estimate without interval and standard error.

    >>> unknown(0.7, rows=1).low
    nan
    """
    return Estimate(value, math.nan, math.nan, math.nan, rows, SamplingDistribution(math.nan, math.nan, math.nan))


def worse(estimate: Estimate, limit: float, better: Better) -> float:
    """Return the one-sided p-value of "the value is no worse than `limit`".

    It is below half of 1 - confidence exactly when the whole interval is worse than the limit. NaN when the value or
    its standard error is not known.

    >>> e = estimated(2.0, 0.5, 30, SamplingDistribution(2.0, 0.5, 29), 0.95)
    >>> round(worse(e, e.low, "lower"), 6), round(worse(e, e.high, "higher"), 6)
    (0.025, 0.025)
    """
    student = SamplingDistribution(estimate.value, estimate.standard_error, max(1, estimate.rows - 1))
    p_value = tail(estimate.distribution or student, limit, above=better == "lower")
    fine = estimate.value <= limit if better == "lower" else estimate.value >= limit
    return max(p_value, 0.5) if fine else p_value  # the centre of a distribution may be a little off the value


def jackknife(compute: Callable[[Groups], Sequence[float]], rows: int, confidence: float) -> Estimate:
    """Estimate any statistic by delete-a-group jackknife, with a t interval of (groups - 1) degrees of freedom.

    `compute` takes the group of each row; it returns the statistic of all rows, then that without each group. NaN
    without rows; an interval needs two groups of at least two rows. Source: Kott, The delete-a-group jackknife,
    Journal of Official Statistics 17, 2001.

    >>> x = np.random.default_rng(0).normal(5, 1, 400)
    >>> e = jackknife(lambda g: [x.mean(), *(x[g != i].mean() for i in range(g.max() + 1))], 400, 0.95)
    >>> bool(e.low < 5 < e.high), abs(e.standard_error - 0.05) < 0.02
    (True, True)
    """
    n_groups = min(GROUPS, rows // 2)
    if rows == 0:
        return unknown()
    groups = np.random.default_rng(rows).permutation(rows) % max(n_groups, 1)
    value, *without = compute(groups)
    if n_groups < 2 or not math.isfinite(value):
        return unknown(value, rows)
    differences = np.asarray(without) - value
    error = math.sqrt((n_groups - 1) / n_groups * float(differences @ differences))
    return estimated(value, error, rows, SamplingDistribution(value, error, n_groups - 1), confidence)
