"""Two-sample Kolmogorov-Smirnov statistic: the largest gap between two cumulative distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.stats.counts import aligned
from otel_mlmon.stats.effect import UNDEFINED, Effect

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats


def kolmogorov_smirnov(reference: Counts, window: Counts) -> Effect:
    """D = max |F(x) - G(x)| at the edges of ordered bins, 0 to 1.

    A lower bound of the D of the raw values, at most `binning_error` below it. The p-value is Kolmogorov's limit law
    (Smirnov 1948) at D sqrt(nm / (n + m)); since bins and small samples only make D smaller, it errs towards "no
    drift".

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> import numpy as np
    >>> effect = kolmogorov_smirnov(np.array([40, 30, 30]), np.array([20, 30, 50]))
    >>> round(effect.value, 6), round(effect.p_value, 6)
    (0.2, 0.036631)
    """
    pair = aligned(reference, window)
    if pair is None:
        return UNDEFINED
    from scipy.special import kolmogorov

    rows = pair[0].sum(), pair[1].sum()
    value = float(np.abs(pair[0].cumsum() / rows[0] - pair[1].cumsum() / rows[1]).max())
    return Effect(value, float(kolmogorov(value * (rows[0] * rows[1] / (rows[0] + rows[1])) ** 0.5)))


def binning_error(reference: Counts) -> float:
    """Most that the binned D can fall short of the exact one: the largest share of one reference bin; NaN if empty.

    Inside a bin both distributions only grow, so the gap exceeds that at one of the edges by at most what one side
    gains in the bin.

    >>> import numpy as np
    >>> binning_error(np.array([20, 50, 30]))
    0.5
    """
    rows = int(reference.sum())
    return float(reference.max()) / rows if rows else float("nan")


def kolmogorov_smirnov_exact(reference: Floats, window: Floats) -> Effect:
    """D and p-value from raw values (`scipy.stats.ks_2samp`: the exact law up to 10,000 values, else the asymptotic
    one).

    Raises ValueError when a value is NaN; NaN when a side is empty.

    >>> import numpy as np
    >>> kolmogorov_smirnov_exact(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.5, 4.5, 5.5, 6.5])).value
    0.75
    """
    for side, values in (("reference", reference), ("window", window)):
        if np.isnan(values).any():
            raise ValueError(f"{side} values must not be NaN, found {int(np.isnan(values).sum())} of {values.size}")
    if not reference.size or not window.size:
        return UNDEFINED
    from scipy.stats import ks_2samp

    result = ks_2samp(reference, window)
    return Effect(float(result.statistic), float(result.pvalue))
