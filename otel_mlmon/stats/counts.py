"""The check of two count vectors that every comparison begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats


def aligned(reference: Counts, window: Counts) -> tuple[Floats, Floats] | None:
    """Both vectors as floats, cell by cell comparable; None when a side has no rows.

    Raises ValueError when they are not integer vectors of one length, or when a count is negative.

    >>> import numpy as np
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
    """As `aligned`, without the cells that are empty on both sides: they hold no information.

    >>> import numpy as np
    >>> occupied(np.array([5, 0, 2]), np.array([3, 0, 0]))
    (array([5., 2.]), array([3., 0.]))
    """
    pair = aligned(reference, window)
    if pair is None:
        return None
    keep = (pair[0] + pair[1]) > 0
    return pair[0][keep], pair[1][keep]
