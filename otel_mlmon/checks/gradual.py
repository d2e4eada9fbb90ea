"""Gradual drift: a sequential test over windows, so that one per cent a day is found before it is twenty."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import (
    FieldView,
    Limit,
    SequentialMemory,
    compare,
    no_data,
    not_in_reference,
    too_few_values,
)
from otel_mlmon.rulefile import GradualDrift
from otel_mlmon.stats.drift.cusum import limit, step
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.values import CheckResult, FieldReference

_REFERENCE_ERRORS: Final = 4.0  # standard errors of the reference's mean that are no drift
_LARGEST_SUM: Final = 1.5  # times the boundary, so that the alert ends soon after the drift does
_MONTH: Final = 2_629_800_000_000_000  # ns between false alarms, where the rule states no budget


@dataclass(frozen=True, slots=True)
class _Sums:
    """Both sums of the test, and the windows since they were 0. `end` is the end of the last window counted."""

    up: float = 0
    down: float = 0
    end: int = 0
    windows: int = 0
    reference: str = ""  # when it was created: sums of deviations from another one mean nothing


def applies(_rule: GradualDrift, reference: FieldReference) -> bool:
    """Return whether the field has a mean."""
    return reference.kind == "numeric"


def gradual_drift(rule: GradualDrift, field: FieldView) -> CheckResult:
    """Two-sided CUSUM of the windows' means, in standard errors. Page, Biometrika 41 (1954).

    The context's memory keeps the sums of this target from window to window; a window that overlaps the last one
    counted is not counted again. The limit follows from the budget of false alarms, divided into `budget_shares` parts.
    """
    if field.reference is None or field.expected is None:
        return not_in_reference(field)
    expected, profile = field.expected, field.profile
    if profile.numbers < rule.min_rows or expected.numbers < 2:
        return too_few_values(profile.numbers, "numbers", rule.min_rows)
    spread = standard_deviation(expected.sum, expected.sum_squares, expected.numbers)
    difference = mean(profile.sum, profile.numbers) - mean(expected.sum, expected.numbers)
    if not math.isfinite(difference):
        message = f"the numbers of {field.name} add up to more than can be told"
        return no_data("no_values", message, rows=profile.numbers)
    if not spread > 0:
        return no_data("no_spread", f"{field.name} has no spread in the reference", rows=profile.numbers)
    context = field.context
    between = rule.false_alarms or _MONTH
    boundary = limit(max(between / (context.end - context.start) * max(context.budget_shares, 1), 10.0), rule.allowance)
    sums = _with_window(rule, field, spread, difference, boundary)
    return compare(
        max(sums.up, sums.down),
        Limit(boundary, rule.critical),
        rows=profile.numbers,
        reference_rows=expected.numbers,
        message=f"the mean has been {'above' if sums.up >= sums.down else 'below'} the reference's for "
        f"{sums.windows} windows, now by {difference / spread:+.2g} standard deviations",
        finding="shift",
        evidence=lambda: evidence.of_field(field),
    )


def _with_window(rule: GradualDrift, field: FieldView, spread: float, difference: float, boundary: float) -> _Sums:
    """Add the window to the sums and keep them; a window that overlaps the last one adds nothing."""
    context, expected = field.context, field.expected
    assert expected is not None
    memory = SequentialMemory() if context.memory is None else context.memory
    created = context.reference.created if context.reference else ""
    state = memory.get(field.segment, field.name)
    sums = _Sums(**state) if state.get("reference", created) == created else _Sums()
    if context.start < sums.end:
        return sums
    error = spread * math.sqrt(field.design_effect(field.profile.numbers) / field.profile.numbers)
    # The reference's mean is not exact either, and its error does not average out over windows.
    unsure = _REFERENCE_ERRORS * spread / math.sqrt(expected.numbers / field.design_effect(expected.numbers))
    z = math.copysign(max(abs(difference) - unsure, 0.0), difference) / error
    up, down = (min(side, _LARGEST_SUM * boundary) for side in step(sums.up, sums.down, z, rule.allowance))
    sums = _Sums(up, down, context.end, sums.windows + 1 if up or down else 0, created)
    memory.put(field.segment, field.name, asdict(sums))
    return sums
