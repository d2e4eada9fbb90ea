"""Multivariate drift: do the features still depend on one another as they did?"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from otel_mlmon.checks.context import ModelView, compare, no_data, too_few_predictions
from otel_mlmon.rulefile import MultivariateDrift
from otel_mlmon.stats.drift.principal_components import reconstruction_errors
from otel_mlmon.stats.inference.p_values import two_sided
from otel_mlmon.values import CheckResult

_CHANGE: Final = 0.1


def reconstruction_error(rule: MultivariateDrift, view: ModelView) -> CheckResult:
    """Relative change of the mean error of rows that are reconstructed from the reference's principal components.

    Each feature alone may look as before while their relation is broken: rows of one house with the rooms of another.
    """
    reference = view.reference
    components = reference.components if reference else None
    if reference is None or components is None:
        return no_data(
            "no_reference", "the reference has no principal components: it needs two numeric features or more"
        )
    block, rows = view.block()
    if block is None:
        return too_few_predictions(0, rule.min_rows)
    gone = [name for name in components.names if name not in block.fields]
    if gone:
        return no_data("no_values", f"{', '.join(gone)} did not come", rows=len(rows))
    columns = [block.fields[name].numbers for name in components.names]
    if any(column is None for column in columns):
        return no_data("no_values", "a feature that was a number is text", rows=len(rows))
    errors = reconstruction_errors(
        components, np.stack([column[rows] for column in columns if column is not None], axis=1)
    )
    if len(errors) < rule.min_rows:
        return too_few_predictions(len(errors), rule.min_rows)
    with np.errstate(invalid="ignore", over="ignore"):
        mean, deviation = float(errors.mean()), float(errors.std(ddof=1))
    spread = max(deviation, components.error_deviation)
    standard_error = math.hypot(
        spread / math.sqrt(len(errors)), components.error_deviation / math.sqrt(components.rows)
    )
    return compare(
        abs(mean / components.error_mean - 1),
        _CHANGE if rule.above is None else rule.above,
        two_sided((mean - components.error_mean) / standard_error),
        rows=len(errors),
        reference_rows=components.rows,
        message=f"rows differ from their reconstruction by {mean:.3g}, in the reference by {components.error_mean:.3g}",
        finding="shift",
        critical=rule.critical,
    )
