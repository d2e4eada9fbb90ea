"""Gradual drift: a sequential test over windows, so that one per cent a day is found before it is twenty."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.case import FieldCase, judge, no_data
from otel_mlmon.rulefile import GradualDrift
from otel_mlmon.stats.drift.cusum import limit, step
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.values import CheckResult

_REFERENCE_ERRORS: Final = 4.0  # standard errors of the reference's mean that are no drift
_MOST: Final = 1.5  # times the boundary
_MONTH: Final = 2_629_800_000_000_000


def gradual_drift(
    rule: GradualDrift, case: FieldCase, memory: MutableMapping[str, Any], start: int, end: int, targets: int
) -> CheckResult:
    """Two-sided CUSUM of the windows' means, in standard errors. Page, Biometrika 41 (1954).

    `memory` holds the sums of this target from window to window; windows that overlap the last one that was counted are
    not counted again. The limit follows from the budget of false alarms, shared by `targets` targets of all rules that share it.
    """
    if case.reference is None or case.expected is None:
        return no_data("not_in_reference", f"{case.name} is not in the reference")
    expected, profile = case.expected, case.profile
    if profile.numbers < rule.min_rows or expected.numbers < 2:
        reason = "no_values" if profile.numbers == 0 else "too_few_rows"
        return no_data(
            reason, f"{profile.numbers} numbers, the rule asks for at least {rule.min_rows}", rows=profile.numbers
        )
    spread = standard_deviation(expected.sum, expected.sum_squares, expected.numbers)
    difference = mean(profile.sum, profile.numbers) - mean(expected.sum, expected.numbers)
    if not math.isfinite(difference):
        return no_data("no_values", f"the numbers of {case.name} add up to more than can be told", rows=profile.numbers)
    if not spread > 0:
        return no_data("no_spread", f"{case.name} has no spread in the reference", rows=profile.numbers)
    error = spread * math.sqrt(case.design_effect(profile.numbers) / profile.numbers)
    made = case.whole.created if case.whole else ""
    state: Mapping[str, Any] = memory.get(case.name, {})
    if state.get("reference", made) != made:  # another reference: what was summed up is no deviation from it
        state = {}
    between = rule.false_alarms or _MONTH
    boundary = limit(max(between / (end - start) * max(targets, 1), 10.0), rule.allowance)
    up, down, last, windows = (state.get(key, 0) for key in ("up", "down", "end", "windows"))
    if start >= last:
        # The reference's mean is not exact either, and its error does not average out over windows.
        unsure = _REFERENCE_ERRORS * spread / math.sqrt(expected.numbers / case.design_effect(expected.numbers))
        z = math.copysign(max(abs(difference) - unsure, 0.0), difference) / error
        # Bounded, so that what is over is soon told to be over.
        up, down = (min(side, _MOST * boundary) for side in step(up, down, z, rule.allowance))
        windows = windows + 1 if up or down else 0
        memory[case.name] = {"up": up, "down": down, "end": end, "windows": windows, "reference": made}
    value = max(up, down)
    return judge(
        value,
        boundary,
        float("nan"),
        rows=profile.numbers,
        reference_rows=expected.numbers,
        message=f"the mean has been {'above' if up >= down else 'below'} the reference's for {windows} windows, "
        f"now by {difference / spread:+.2g} standard deviations",
        finding="shift",
        critical=rule.critical,
        evidence=lambda: evidence.of_field(case),
    )
