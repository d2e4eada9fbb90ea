"""Principal components of standardised features, and the reconstruction error of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from otel_mlmon.values import Floats
from otel_mlmon.values.estimators import PrincipalComponents

VARIANCE: Final = 0.65  # share that the components explain; as NannyML's default


def reconstruction_errors(components: PrincipalComponents, values: Floats) -> Floats:
    """Return each complete row's (rows × features) Euclidean distance from its reconstruction, in standard deviations.

    >>> components = PrincipalComponents(("a", "b"), np.zeros(2), np.ones(2), np.array([[1.0, 0.0]]), 1.0, 1.0, 10)
    >>> reconstruction_errors(components, np.array([[5.0, 2.0], [np.nan, 1.0]])).tolist()
    [2.0]
    """
    complete = values[np.isfinite(values).all(axis=1)]
    scaled = (complete - components.means) / components.scales
    with np.errstate(over="ignore", invalid="ignore"):  # huge numbers are infinitely far away
        errors: Floats = np.linalg.norm(scaled - scaled @ components.axes.T @ components.axes, axis=1)
    return errors


def fit_principal_components(names: Sequence[str], values: Floats) -> PrincipalComponents | None:
    """Fit to the complete rows of `values` (rows × features).

    None with fewer than two features that vary, or with fewer than ten rows per feature. Source: Jolliffe, Principal
    Component Analysis, 2nd ed., 2002; the error as a measure of drift: NannyML's multivariate drift.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 1))
    >>> components = fit_principal_components(["a", "b"], np.hstack([x, x + 0.1 * rng.normal(size=(1000, 1))]))
    >>> errors = reconstruction_errors(components, np.hstack([x, rng.permutation(x)]))
    >>> bool(errors.mean() > 5 * components.error_mean)
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
    varying = tuple(name for name, varies_ in zip(names, varies.tolist(), strict=True) if varies_)
    components = PrincipalComponents(varying, means, scales, kept, 0.0, 0.0, len(values))
    errors = reconstruction_errors(components, values)
    if not errors.mean() > 0:
        return None
    return replace(components, error_mean=float(errors.mean()), error_deviation=float(errors.std()))
