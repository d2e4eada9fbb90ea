"""Another mix, or another behaviour? Drift of a whole, split by its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def mix_share(reference: npt.NDArray[np.int64], window: npt.NDArray[np.int64]) -> float:
    """Share of the difference between two distributions that comes from other proportions of the parts; the rest comes from
    changes within them. About 0 to 1; below 0 where the mix works against the change. NaN when nothing differs.

    Rows of the arrays are parts (segments), columns are cells. Each cell's difference is the sum of both effects, averaged over
    the two orders in which they can be taken (Kitagawa, JASA 50, 1955; Das Gupta 1993); cells are weighed as in a chi-squared
    statistic. A part that is new, or gone, is mix.

    >>> then = np.array([[90, 10], [10, 90]])
    >>> mix_share(then, then * [[3], [1]]), mix_share(then, then[:, ::-1] * [[1], [2]]) < 0.3
    (1.0, True)
    """
    shares, inner = _split(reference)
    new_shares, new_inner = _split(window)
    gone, new = shares == 0, new_shares == 0
    inner[gone], new_inner[new] = new_inner[gone], inner[new]
    before, after = shares @ inner, new_shares @ new_inner
    change = after - before
    mix = (new_shares - shares) @ (inner + new_inner) / 2
    weights = np.divide(1.0, before + after, out=np.zeros_like(before), where=before + after > 0)
    size = float((weights * change**2).sum())
    return float((weights * mix * change).sum()) / size if size > 0 else float("nan")


def _split(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Proportions of the parts, and the distribution within each."""
    rows = counts.sum(axis=1)
    return rows / max(int(rows.sum()), 1), counts / np.maximum(rows, 1)[:, None]
