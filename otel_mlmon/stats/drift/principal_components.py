"""Principal components of standardised features, and how well rows are reconstructed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

VARIANCE: Final = 0.65  # share that the components explain; as NannyML's default


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """`means` and `scales` standardise the features `names`; `axes` has one line per component.

    `error_mean` and `error_spread` are the mean and standard deviation of the reconstruction error over `rows` reference rows.
    """

    names: tuple[str, ...]
    means: Floats
    scales: Floats
    axes: Floats
    error_mean: float
    error_spread: float
    rows: int

    def errors(self, values: Floats) -> Floats:
        """Euclidean distance of each complete row (rows × features) from its reconstruction, in standard deviations."""
        return _errors(values, self.means, self.scales, self.axes)


def principal_components(names: Sequence[str], values: Floats) -> PrincipalComponents | None:
    """Fitted to the complete rows of `values` (rows × features); None with fewer than two features that vary, or few rows.

    Source: Jolliffe, Principal Component Analysis, 2nd ed., 2002; the error as a measure of drift: NannyML's multivariate drift.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 1))
    >>> fitted = principal_components(["a", "b"], np.hstack([x, x + 0.1 * rng.normal(size=(1000, 1))]))
    >>> broken = fitted.errors(np.hstack([x, rng.permutation(x)]))
    >>> bool(broken.mean() > 5 * fitted.error_mean)
    True
    """
    values = values[np.isfinite(values).all(axis=1)]
    if len(values) < 10 * len(names):
        return None
    scales = values.std(axis=0)
    varies = scales > 0
    if varies.sum() < 2:
        return None
    values, scales, means = values[:, varies], scales[varies], values[:, varies].mean(axis=0)
    _, sizes, axes = np.linalg.svd((values - means) / scales, full_matrices=False)
    explained = np.cumsum(sizes**2) / (sizes**2).sum()
    kept = axes[: min(int(np.searchsorted(explained, VARIANCE)) + 1, len(axes) - 1)]
    errors = _errors(values, means, scales, kept)
    mean = float(errors.mean())
    if not mean > 0:
        return None
    chosen = tuple(name for name, used in zip(names, varies.tolist(), strict=True) if used)
    return PrincipalComponents(chosen, means, scales, kept, mean, float(errors.std()), len(values))


def _errors(values: Floats, means: Floats, scales: Floats, axes: Floats) -> Floats:
    scaled = (values[np.isfinite(values).all(axis=1)] - means) / scales
    with np.errstate(over="ignore", invalid="ignore"):  # huge numbers are infinitely far away
        found: Floats = np.linalg.norm(scaled - scaled @ axes.T @ axes, axis=1)
    return found
