"""Counts per cell of one side of a comparison, and the result of comparing two sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Counts, Floats


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts of one side of a comparison, with its sums and extremes.

    Numbers: `counts` per reference bin, with one bin below (first) and one above (last); `edges` are the bins' edges.
    Categories: `counts` per category, all others last; `edges` is (). `design_effect` >= 1 is Kish's.
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
        """Return the number of counted values."""
        return int(self.counts.sum())

    @property
    def independent(self) -> Counts:
        """Return the counts of effective rows, for p-values.

        The running sum is rounded, so that rare bins are not lost.

        >>> Distribution(np.full(10, 4), design_effect=10.0).independent.tolist()
        [0, 1, 0, 1, 0, 0, 1, 0, 1, 0]
        """
        if self.design_effect <= 1 or not self.rows:
            return self.counts
        share = max(1 / self.design_effect, 1 / self.rows)
        effective: Counts = np.rint(self.counts.cumsum() * share).astype(np.int64)
        effective[1:] -= effective[:-1].copy()
        return effective

    def merged(self, index: npt.NDArray[np.int64]) -> Distribution:
        """Merge cells: cell i goes to cell index[i]."""
        counts = np.bincount(index, weights=self.counts, minlength=int(index.max()) + 1)
        return replace(self, counts=counts.astype(np.int64))


def coarse(reference: Counts, cells: int = 10) -> npt.NDArray[np.int64]:
    """Return the cell of each ordered bin, for `merged`: about `cells` cells of equal shares of the reference.

    The bins below and above stay cells of their own.

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


@dataclass(frozen=True, slots=True)
class TestResult:
    """The size of a difference between reference and window, in the unit of the method, and its p-value.

    Both are NaN when a side is empty.
    """

    value: float
    p_value: float


UNDEFINED: Final = TestResult(math.nan, math.nan)


def aligned(reference: Counts, window: Counts) -> tuple[Floats, Floats] | None:
    """Return both vectors as floats; None when a side has no rows.

    Raises ValueError unless they are integer vectors of one length without negative counts.

    >>> aligned(np.array([1, 2]), np.array([3, 0]))
    (array([1., 2.]), array([3., 0.]))
    >>> aligned(np.array([1, 2]), np.array([0, 0])) is None
    True
    """
    for side, counts in (("reference", reference), ("window", window)):
        if counts.ndim != 1 or not np.issubdtype(counts.dtype, np.integer):
            raise ValueError(
                f"{side} counts must be a vector of integers, found {counts.ndim} dimension(s) of {counts.dtype}"
            )
        if (counts < 0).any():
            raise ValueError(f"{side} counts must not be negative, found {int(counts.min())}")
    if len(reference) != len(window):
        raise ValueError(f"reference and window must have the same cells, found {len(reference)} and {len(window)}")
    if not reference.any() or not window.any():
        return None
    return reference.astype(np.float64), window.astype(np.float64)


def occupied(reference: Counts, window: Counts) -> tuple[Floats, Floats] | None:
    """Return both vectors as `aligned`, without the cells that are empty on both sides.

    >>> occupied(np.array([5, 0, 2]), np.array([3, 0, 0]))
    (array([5., 2.]), array([3., 0.]))
    """
    pair = aligned(reference, window)
    if pair is None:
        return None
    keep = (pair[0] + pair[1]) > 0
    return pair[0][keep], pair[1][keep]


def bin_index(x: Floats, edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return the bin of each value: 0 below the first edge, i in [edges[i-1], edges[i]), len(edges) above.

    The last bin is closed.

    >>> bin_index(np.array([-1.0, 0.0, 1.0, 2.0, 3.0]), [0.0, 1.0, 2.0]).tolist()
    [0, 1, 2, 2, 3]
    """
    bounds = np.asarray(edges)
    index = np.searchsorted(bounds, x, side="right")
    index[x == bounds[-1]] = len(bounds) - 1
    return index.astype(np.int64)
