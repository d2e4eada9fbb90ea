"""Champion and challenger on the same predictions: rows whose ids match."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from otel_mlmon.stats.metrics.outcomes import Outcomes
from otel_mlmon.values import RowBlock
from otel_mlmon.window.outcome_rows import outcomes


def matched(
    block: RowBlock | None, champion: npt.NDArray[np.int64], challenger: npt.NDArray[np.int64]
) -> tuple[Outcomes, Outcomes] | None:
    """The two versions' outcomes, row by row of one id; None when no id with known ground truth has both."""
    if block is None or block.ids is None:
        return None
    one, other = (rows[block.truth_known[rows]] for rows in (champion, challenger))
    place = pc.index_in(block.ids.take(other), value_set=block.ids.take(one)).to_numpy(zero_copy_only=False)
    found = ~np.isnan(place.astype(np.float64))
    if not found.any():
        return None
    return outcomes(block, one[place[found].astype(np.int64)]), outcomes(block, other[found])
