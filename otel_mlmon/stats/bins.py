"""Which bin a number falls into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats


def bin_index(x: Floats, edges: Sequence[float]) -> npt.NDArray[np.int64]:
    """Bin of each value: 0 below the first edge, i in [edges[i-1], edges[i]), the last bin closed, len(edges) above.

    >>> bin_index(np.array([-1.0, 0.0, 1.0, 2.0, 3.0]), [0.0, 1.0, 2.0]).tolist()
    [0, 1, 2, 2, 3]
    """
    bounds = np.asarray(edges)
    index = np.searchsorted(bounds, x, side="right")
    index[x == bounds[-1]] = len(bounds) - 1
    return index.astype(np.int64)
