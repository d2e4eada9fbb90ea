"""Population stability index: how far apart two distributions over the same cells are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.stats.counts import occupied
from otel_mlmon.stats.drift.homogeneity import SPARSE, expected, homogeneity_p_value
from otel_mlmon.stats.effect import UNDEFINED, Effect

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats

_PSEUDO_COUNT: Final = 0.5  # stands for 0 in a cell that is empty on one side, so that the logarithm exists


def psi(reference: Counts, window: Counts) -> Effect:
    """Sum over cells of (q - p) ln(q / p), p and q being the cells' shares in reference and window; from 0, no upper
    limit.

    Natural logarithm. A cell that is empty on one side counts 0.5 there (the same rule for both sides, before shares
    are taken); cells empty on both sides are left out. Also known as the Jeffreys divergence.

    The p-value takes value / (1/n + 1/m) as chi-squared with B - 1 degrees of freedom, B being the occupied cells
    (Yurdakul, Statistical Properties of Population Stability Index, Western Michigan University, 2018). That law is
    for large samples: it is too sure of itself with a few dozen rows a cell, so the p-value is never below that of
    the likelihood ratio test (`homogeneity_p_value`); and it sees nothing any more where an expected count is below
    5, so there that test alone decides.

    Raises ValueError on misaligned or negative counts; NaN when a side is empty.

    >>> import numpy as np
    >>> effect = psi(np.array([500, 300, 200]), np.array([400, 300, 300]))
    >>> round(effect.value, 5), effect.p_value < 1e-6
    (0.06286, True)
    """
    pair = occupied(reference, window)
    if pair is None:
        return UNDEFINED
    p, q = _shares(pair[0]), _shares(pair[1])
    value = float(((q - p) * np.log(q / p)).sum())
    p_value = homogeneity_p_value(*pair)
    if len(p) > 1 and min(side.min() for side in expected(*pair)) >= SPARSE:
        from scipy.special import chdtrc

        p_value = max(p_value, float(chdtrc(len(p) - 1, value / (1 / pair[0].sum() + 1 / pair[1].sum()))))
    return Effect(value, p_value)


def psi_without_drift(cells: int, reference_rows: int, window_rows: int) -> float:
    """Mean PSI that chance alone gives: (cells - 1) (1/n + 1/m). Source: Yurdakul 2018, as above.

    Raises ValueError when a number is below 1.

    >>> round(psi_without_drift(cells=10, reference_rows=10_000, window_rows=200), 4)
    0.0459
    """
    if min(cells, reference_rows, window_rows) < 1:
        raise ValueError(f"cells and rows must be at least 1, found {cells}, {reference_rows}, {window_rows}")
    return (cells - 1) * (1 / reference_rows + 1 / window_rows)


def _shares(counts: Floats) -> Floats:
    smoothed = np.where(counts == 0, _PSEUDO_COUNT, counts)
    shares: Floats = smoothed / smoothed.sum()
    return shares
