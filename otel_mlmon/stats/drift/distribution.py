"""One side of a comparison: counts per cell, with what else is known of the values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Counts


@dataclass(frozen=True, slots=True)
class Distribution:
    """`counts`: per reference bin with one below (first) and one above (last), `edges` being the bins' edges; or per category
    with all others last, `edges` being (). `design_effect` >= 1: that many rows are worth one independent row (Kish).
    """

    counts: Counts
    edges: tuple[float, ...] = ()
    numbers: int = 0
    sum: float = 0.0
    sum_squares: float = 0.0
    minimum: float = math.nan
    maximum: float = math.nan
    design_effect: float = 1.0

    @property
    def rows(self) -> int:
        """Values that were counted."""
        return int(self.counts.sum())

    @property
    def independent(self) -> Counts:
        """Counts as of independent rows: what a p-value may use. Rounded as they add up, so that bins of few rows are not lost.

        >>> Distribution(np.full(10, 4), design_effect=10.0).independent.tolist()
        [0, 1, 0, 1, 0, 0, 1, 0, 1, 0]
        """
        if self.design_effect <= 1 or not self.rows:
            return self.counts
        worth = max(1 / self.design_effect, 1 / self.rows)
        found: Counts = np.rint(self.counts.cumsum() * worth).astype(np.int64)
        found[1:] -= found[:-1].copy()
        return found

    def merged(self, index: npt.NDArray[np.int64]) -> Distribution:
        """With cells merged: cell i goes to cell index[i]."""
        counts = np.bincount(index, weights=self.counts, minlength=int(index.max()) + 1)
        return replace(self, counts=counts.astype(np.int64))


def coarse(reference: Counts, cells: int = 10) -> npt.NDArray[np.int64]:
    """For each ordered bin, the cell that it goes to: neighbours merged into about `cells` of equal shares of the reference; the
    bins below and above stay cells of their own.

    >>> coarse(np.array([0, 5, 5, 5, 5, 0]), cells=2).tolist()
    [0, 1, 1, 2, 2, 3]
    """
    inner = reference[1:-1]
    total = int(inner.sum())
    if not total:
        return np.arange(len(reference))
    before = np.concatenate([[0], inner.cumsum()[:-1]])
    _, index = np.unique(np.minimum((before + inner / 2) * cells // total, cells - 1), return_inverse=True)
    middle = index.reshape(-1) + 1
    return np.concatenate([[0], middle, [middle[-1] + 1]]).astype(np.int64)
