"""Drift checks: is a field's distribution still the reference's?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.evaluate import evidence
from otel_mlmon.evaluate.case import FieldCase, Outcome, judge, no_data
from otel_mlmon.rulefile import DriftRule
from otel_mlmon.stats.drift.methods import DRIFT_METHODS, NEEDS_ORDERED_BINS
from otel_mlmon.values import FieldProfile, FieldReference

if TYPE_CHECKING:
    from otel_mlmon.values import Counts


def applies(rule: DriftRule, reference: FieldReference | None) -> bool:
    """Whether the method means anything for the field: distribution functions need an order."""
    return reference is None or reference.kind == "numeric" or rule.drift not in NEEDS_ORDERED_BINS


def drift(rule: DriftRule, case: FieldCase) -> Outcome:
    """Distance of the window's counts from the reference's, on the reference's frozen bins or categories."""
    if case.reference is None or case.expected is None:
        return no_data("not_in_reference", f"{case.name} is not in the reference")
    then, now = _counts(case.reference, case.expected), _counts(case.reference, case.profile)
    rows, reference_rows = int(now.sum()), int(then.sum())
    if rows < rule.min_rows:
        reason = "no_values" if rows == 0 else "too_few_rows"
        return no_data(
            reason,
            f"{rows} values, the rule asks for at least {rule.min_rows}",
            rows=rows,
            reference_rows=reference_rows,
        )
    effect = DRIFT_METHODS[rule.drift](then, now)
    return judge(
        effect.value,
        rule.above,
        effect.p_value,
        rule.confidence,
        rows=rows,
        reference_rows=reference_rows,
        message=f"{rule.drift} {effect.value:.3g} between {rows} values and the reference's {reference_rows}",
        evidence=lambda: evidence.of_field(case),
    )


def _counts(reference: FieldReference, profile: FieldProfile) -> Counts:
    if reference.kind == "numeric":
        return np.zeros(len(reference.edges) + 1, np.int64) if profile.bins is None else profile.bins
    known = np.zeros(len(reference.categories), np.int64) if profile.categories is None else profile.categories
    texts = profile.types.get("string", 0) + profile.types.get("bool", 0)
    return np.append(known, max(texts - int(known.sum()), 0))
