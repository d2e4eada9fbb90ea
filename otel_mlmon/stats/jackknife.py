"""How sure a figure is of which nothing is known but how to compute it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.estimate import Estimate, Law, estimated, unknown

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
    return estimated(value, error, rows, Law(value, error, n_groups - 1), confidence)
