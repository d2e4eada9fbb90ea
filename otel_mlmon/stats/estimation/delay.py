"""Delay of ground truth, learnt while much of it is still outstanding."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Floats

_NEARLY_ALL: Final = 0.99
_WATCHED: Final = 2.0


class DelayDistribution(NamedTuple):
    """`arrived[d]` is the share of all ground truth ever to come that has come after d + 1 steps.

    `seen` is the age, in steps, of the oldest predictions: longer delays are unknown.
    """

    arrived: Floats
    seen: int

    def share(self, age: float | Floats) -> Floats:
        """Return the share that has come at an age in steps; linear between steps, 0 at age 0."""
        grid = np.arange(len(self.arrived) + 1)
        shares: Floats = np.interp(age, grid, np.concatenate([[0.0], self.arrived]))
        return shares

    def quantile(self, share: float) -> float:
        """Return the age in steps at which `share` (0 to 1) has come; NaN when nothing ever has."""
        if not len(self.arrived) or not self.arrived[-1] > 0:
            return float("nan")
        return float(np.searchsorted(self.arrived, share - 1e-12)) + 1

    def settled(self, age: float) -> bool:
        """Return whether next to nothing is outstanding at this age.

        Predictions twice as old as the slowest ground truth must have been watched.
        """
        slowest = self.quantile(_NEARLY_ALL)
        return age >= slowest and self.seen >= _WATCHED * slowest


def delay_distribution(counts: npt.ArrayLike, ages: npt.ArrayLike) -> DelayDistribution:
    """Fit the distribution of delays by chain ladder.

    counts[i, d] is the ground truth that cohort i got in step d of its life; ages[i] is the whole steps that cohort i
    has lived. A delay is learnt only from cohorts old enough to show it, so outstanding ground truth does not make
    delays look short. Source: Mack, Distribution-free calculation of the standard error of chain ladder reserve
    estimates, ASTIN Bulletin 23, 1993; the same as the reverse-hazard product-limit estimator for right-truncated data
    of Lagakos, Barraj and De Gruttola, Biometrika 75, 1988.

    Ground truth that never comes does not count. Without any, the distribution is empty. Raises ValueError when the
    shapes do not fit.

    >>> delay_distribution([[5, 5, 0], [5, 5, 0], [5, 0, 0]], [3, 3, 1]).arrived.tolist()
    [0.5, 1.0, 1.0]
    """
    n = np.asarray(counts, dtype=np.float64)
    lived = np.asarray(ages, dtype=np.int64)
    if n.ndim != 2 or len(lived) != len(n):
        raise ValueError(f"counts must be cohorts × steps with an age each, found {n.shape} and {lived.shape}")
    steps = min(n.shape[1], int(lived.max(initial=0)))
    if steps == 0 or not n.sum() > 0:
        return DelayDistribution(np.zeros(0), int(lived.max(initial=0)))
    observed = np.arange(n.shape[1])[None, :] < lived[:, None]
    cumulated = np.cumsum(np.where(observed, n, 0.0), axis=1)
    arrived = np.ones(steps)
    for step in range(steps - 1, 0, -1):
        old = lived > step
        total = float(cumulated[old, step].sum())
        arrived[step - 1] = arrived[step] * (float(cumulated[old, step - 1].sum()) / total if total > 0 else 1.0)
    return DelayDistribution(arrived, int(lived.max()))
