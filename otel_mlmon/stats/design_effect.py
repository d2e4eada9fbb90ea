"""How many consecutive rows are worth one independent row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

BLOCKS: Final = 20  # fewer blocks tell nothing


def design_effect(values: Floats, block: int) -> float:
    """Variance of the means of blocks of `block` consecutive values, times `block`, over the variance of single values.

    1 for independent values, more where neighbours are alike: hours of one day, customers of one campaign. NaN values are left
    out. Source: Kish, Survey Sampling, 1965; batch means as in Law and Kelton. At least 1; 1 when there are fewer than BLOCKS
    blocks, or when all values are alike.

    >>> rng = np.random.default_rng(0)
    >>> day = np.repeat(rng.normal(size=1000), 24)
    >>> 15 < design_effect(day, 240) < 35
    True
    """
    x = values[np.isfinite(values)]
    count = len(x) // block
    if count < BLOCKS or block < 2:
        return 1.0
    x = x[: count * block]
    variance = float(x.var())
    if not variance > 0:
        return 1.0
    return max(1.0, float(x.reshape(count, block).mean(axis=1).var(ddof=1)) * block / variance)
