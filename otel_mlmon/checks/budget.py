"""Error budgets: an objective over weeks, and alerts on how fast the error budget that it allows is used up.

The alerts are those of the Site Reliability Workbook (chapter 5, multiwindow, multi-burn-rate), scaled from its 30 days
to the objective's own time: each looks at a long window, which says that it matters, and a short one, which says that
it goes on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otel_mlmon.checks.context import (
    ModelView,
    error_design_effects,
    no_data,
    too_little_ground_truth,
)
from otel_mlmon.rulefile import BudgetRule, format_duration
from otel_mlmon.stats.inference.design_effect import effective_counts
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import CheckResult, Reference, WindowProfile
from otel_mlmon.values.evidence import BudgetEvidence, BurnWindow

# (long window as a part of the objective's time, burn rate, whether somebody is to be woken up)
PAIRS: Final = ((1 / 720, 14.4, True), (1 / 120, 6.0, True), (1 / 30, 3.0, False), (1 / 10, 1.0, False))
SHORT: Final = 12  # times shorter than the long window
_BURN_P_VALUE: Final = 0.01  # for all pairs together, below which chance does not explain a burn rate


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective in costs per prediction: `amount` is the mean, free up to `normal`, missed beyond `allowed`.

    `sure` says how sure it is that the cost is above a value: a p-value.
    """

    rows: Callable[[WindowProfile], int]
    amount: Callable[[WindowProfile], float]
    normal: float
    allowed: float
    sure: Callable[[WindowProfile, float], float]

    def burn(self, window: WindowProfile) -> float:
        """How many times faster than allowed; NaN without rows."""
        return (self.amount(window) - self.normal) / (self.allowed - self.normal)


def budget(rule: BudgetRule, view: ModelView) -> CheckResult:
    """The fastest burn among the pairs of windows that have enough rows; value and threshold are burn rates."""
    context = view.context
    integrity = rule.budget == "integrity"
    problem = None if integrity else too_little_ground_truth(rule, view.counts)
    if problem is not None or not view.window:
        return problem or no_data("no_rows", "no predictions in the window")
    objective = _objective(rule, context.reference)
    if isinstance(objective, CheckResult):
        return objective
    end = context.time if integrity else context.end

    def past(length: int) -> WindowProfile | None:
        return context.history.windows(end - length, end).get("") if context.history else None

    overall = past(rule.over)
    used = objective.burn(overall) if overall else math.nan
    lines: list[BurnWindow] = []
    for part, factor, wakes in PAIRS:
        span = int(rule.over * part)
        long, short = past(span), past(span // SHORT)
        if long is None or objective.rows(long) < rule.min_ground_truth or short is None or not objective.rows(short):
            continue
        limit = objective.normal + factor * (objective.allowed - objective.normal)
        burning = objective.burn(long) > factor and objective.burn(short) > factor
        p_value = objective.sure(long, limit)
        lines.append(
            BurnWindow(
                window=format_duration(span),
                short=format_duration(span // SHORT),
                burn=objective.burn(long),
                short_burn=objective.burn(short),
                factor=factor,
                p_value=p_value,
                rows=objective.rows(long),
                breach=burning and p_value * len(PAIRS) < _BURN_P_VALUE,
                wakes=wakes,
            )
        )
    if not lines:
        message = f"no window of the objective has {rule.min_ground_truth} predictions to judge by"
        return no_data("too_few_rows", message, rows=view.counts.with_truth)
    return _outcome(rule, lines, used, objective.rows(overall) if overall else 0)


def _outcome(rule: BudgetRule, lines: list[BurnWindow], used: float, rows: int) -> CheckResult:
    breached = [line for line in lines if line.breach]
    worst = breached[0] if breached else max(lines, key=lambda line: line.burn / line.factor)
    left = 1 - used
    message = (
        f"the error budget of {rule.budget} burns {worst.burn:.3g} times as fast as {format_duration(rule.over)} allow"
        f", over {worst.window} and {worst.short_burn:.3g} times over {worst.short}; {left:.0%} of it is left"
    )
    return CheckResult(
        "breach" if breached else "ok",
        "beyond_threshold" if breached else "within_threshold",
        value=worst.burn,
        threshold=worst.factor,
        rows=worst.rows,
        reference_rows=rows,
        message=message,
        finding="budget" if breached else "",
        level="critical" if breached and worst.wakes else "",
        evidence=BudgetEvidence(left, format_duration(rule.over), tuple(lines)),
    )


def _objective(rule: BudgetRule, reference: Reference | None) -> Objective | CheckResult:
    if rule.budget == "integrity":
        assert rule.at_most is not None
        if reference is None:
            return no_data("no_reference", "what breaks a prediction is told from the reference; there is none")
        return Objective(
            lambda w: w.rows,
            lambda w: w.broken_rows / w.rows if w.rows else math.nan,
            0.0,
            rule.at_most,
            lambda w, limit: exceeds(w.broken_rows, w.rows, min(limit, 1.0)),
        )
    before = reference.performance if reference else None
    metric = METRICS[rule.budget].value
    then = metric(before, None) if before else math.nan
    if rule.worse_than_reference is not None and then != then:
        return no_data("no_reference", f"the reference has no {rule.budget}; create it with ground truth")
    wrong = rule.budget == "accuracy"
    if rule.worse_than_reference is not None:
        allowed = then * (1 - rule.worse_than_reference) if wrong else then * (1 + rule.worse_than_reference)
    else:
        allowed = 1 - (rule.at_most or 0.0) if wrong else rule.above or 0.0

    def cost(value: float) -> float:
        """Of one prediction, so that costs add up: a share of wrong ones, a squared error, an absolute error."""
        return 1 - value if wrong else value * value if rule.budget == "rmse" else value

    def limit_of(value: float) -> float:
        return max(1 - value, 0.0) if wrong else math.sqrt(value) if rule.budget == "rmse" else value

    normal = cost(then) if rule.worse_than_reference is not None else 0.0
    return Objective(
        lambda w: w.performance.with_truth,
        lambda w: cost(metric(w.performance, None)),
        normal,
        cost(allowed),
        lambda w, value: METRICS[rule.budget].worse(
            effective_counts(w.performance, error_design_effects(reference, {"": w}, "", rule.budget)[0]),
            limit_of(value),
            None,
        ),
    )
