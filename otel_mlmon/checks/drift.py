"""Drift checks: is a field's distribution still the reference's?"""

from __future__ import annotations

from typing import Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.case import FieldCase, judge, no_data
from otel_mlmon.checks.distribution import distribution
from otel_mlmon.checks.mix import MOSTLY, Mix, mix
from otel_mlmon.checks.transformation import TRANSFORMED, WORTH_A_LOOK, Found, explain
from otel_mlmon.rulefile import DRIFT_THRESHOLDS, DriftRule, GradualDrift
from otel_mlmon.stats.drift.methods import DRIFT_METHODS, NEEDS_ORDERED_BINS
from otel_mlmon.values import CheckResult, FieldReference

# With a budget of false alarms: the distance below which no difference matters, however sure.
FLOORS: Final = {
    "psi": 0.02,
    "kolmogorov_smirnov": 0.05,
    "wasserstein": 0.1,
    "jensen_shannon": 0.05,
    "hellinger": 0.05,
    "anderson_darling": 0.05,
    "cramer_von_mises": 0.05,
    "chi_squared": 0.05,
    "g_test": 0.05,
    "l_infinity": 0.03,
    "mean_shift": 0.1,
    "standard_deviation_shift": 0.1,
    "quantile_shift": 0.1,
}


def applies(rule: DriftRule | GradualDrift, reference: FieldReference | None) -> bool:
    """Whether the method means anything for the field: distribution functions need an order."""
    if reference is None:
        return True
    if isinstance(rule, GradualDrift):
        return reference.kind == "numeric"
    few = reference.kind == "categorical" or len(reference.edges) < 2 or reference.edges[-1] == reference.edges[-2]
    fits = rule.kind is None or few == (rule.kind == "discrete")
    return fits and (reference.kind == "numeric" or rule.drift not in NEEDS_ORDERED_BINS)


def threshold(rule: DriftRule) -> float:
    """What is still fine: as stated, else a convention of the field, else, with a budget, a floor."""
    if rule.above is not None:
        return rule.above
    return FLOORS[rule.drift] if rule.false_alarms else DRIFT_THRESHOLDS[rule.drift]


def drift(rule: DriftRule, case: FieldCase) -> CheckResult:
    """Distance of the window's counts from the reference's, on the reference's frozen bins or categories."""
    if case.reference is None or case.expected is None:
        return no_data("not_in_reference", f"{case.name} is not in the reference")
    then, now = distribution(case, case.expected), distribution(case, case.profile)
    rows, reference_rows = int(now.counts.sum()), int(then.counts.sum())
    if rows < rule.min_rows:
        reason = "no_values" if rows == 0 else "too_few_rows"
        return no_data(
            reason,
            f"{rows} values, the rule asks for at least {rule.min_rows}",
            rows=rows,
            reference_rows=reference_rows,
        )
    effect = DRIFT_METHODS[rule.drift](then, now)
    limit = threshold(rule)
    news = effect.value > limit and effect.p_value < WORTH_A_LOOK
    found = explain(case) if news and case.reference.kind == "numeric" else None
    parts = mix(case) if news else None
    message = f"{rule.drift} {effect.value:.3g} between {rows} values and the reference's {reference_rows}"
    message += f"; {found.message}" if found else ""
    return judge(
        effect.value,
        limit,
        effect.p_value,
        rows=rows,
        reference_rows=reference_rows,
        message=f"{message}; {parts.message}" if parts else message,
        finding=_finding(found, parts),
        critical=rule.critical,
        evidence=lambda: evidence.of_field(case),
    )


def _finding(found: Found | None, parts: Mix | None) -> str:
    if found is not None and found.finding in TRANSFORMED:
        return found.finding
    return "mix" if parts is not None and parts.share >= MOSTLY else "shift"
