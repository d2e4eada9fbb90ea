"""Multivariate drift: do the features still depend on one another as they did?"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from otel_mlmon.checks.context import Limit, ModelView, compare, no_data, too_few_predictions
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
        message = "the reference has no principal components: it needs two numeric features or more"
        return no_data("no_reference", message)
    block, rows = view.block()
    if block is None:
        return too_few_predictions(0, rule.min_rows)
    gone = [name for name in components.names if name not in block.fields]
    if gone:
        return no_data("no_values", f"{', '.join(gone)} did not come", rows=len(rows))
    columns = [x[rows] for name in components.names if (x := block.fields[name].numbers) is not None]
    if len(columns) < len(components.names):
        return no_data("no_values", "a feature that was a number is text", rows=len(rows))
    errors = reconstruction_errors(components, np.stack(columns, axis=1))
    if len(errors) < rule.min_rows:
        return too_few_predictions(len(errors), rule.min_rows)
    with np.errstate(invalid="ignore", over="ignore"):
        mean, deviation = float(errors.mean()), float(errors.std(ddof=1))
    before, n = components.error_deviation, len(errors)
    standard_error = math.hypot(max(deviation, before) / math.sqrt(n), before / math.sqrt(components.rows))
    return compare(
        abs(mean / components.error_mean - 1),
        Limit(_CHANGE if rule.above is None else rule.above, rule.critical),
        two_sided((mean - components.error_mean) / standard_error),
        rows=n,
        reference_rows=components.rows,
        message=f"rows differ from their reconstruction by {mean:.3g}, in the reference by {components.error_mean:.3g}",
        finding="shift",
    )
