"""Performance checks: are the predictions as good as they were, now that the truth is known?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from otel_mlmon.checks.case import PerformanceCase, judge, no_data
from otel_mlmon.checks.metric import Measured, measure, options
from otel_mlmon.rulefile import GroundTruthRule, PerformanceRule
from otel_mlmon.stats.metrics.paired import paired_worse
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import CheckResult, PerformanceCounts

# With a budget of false alarms: how much worse than the reference matters, however sure.
MARGIN: Final = 0.05
BIAS_MARGIN: Final = 0.1


def enough(rule: GroundTruthRule, predictions: Any, with_truth: Any) -> Any:
    """Whether so many known outcomes of so many predictions are enough to judge by; numbers or arrays of them."""
    return (with_truth >= rule.min_ground_truth) & (with_truth >= rule.min_coverage * predictions) & (with_truth > 0)


def too_little(rule: GroundTruthRule, counts: PerformanceCounts) -> CheckResult:
    """The answer to a window of which too little is known."""
    return no_data(
        "too_little_ground_truth",
        f"ground truth is known for {counts.with_truth} of {counts.predictions} predictions; the rule asks for "
        f"{rule.min_ground_truth} and {rule.min_coverage:.0%}",
        rows=counts.with_truth,
    )


def performance(rule: PerformanceRule, case: PerformanceCase) -> CheckResult:
    """The metric over the predictions whose ground truth is known."""
    counts = case.counts
    if not enough(rule, counts.predictions, counts.with_truth):
        return too_little(rule, counts)
    found = measure(rule, case)
    limit, budgeted = rule.absolute, rule.absolute is None and rule.worse_than_reference is None
    if limit is None and found.reference != found.reference:
        return replace(
            no_data("no_reference", f"the reference has no {rule.method}; create it with ground truth (and scores, where the "
                    "metric is about them)", rows=counts.with_truth),
            value=None if found.value != found.value else found.value, **_interval(found),
        )  # fmt: skip
    if limit is None:
        limit = _limit(rule, case, found)
    pair = case.pair()
    note, p_value = "", found.worse_than_reference() if budgeted and case.reference else found.worse(limit)
    if pair is not None and rule.absolute is None:
        both = paired_worse(rule.method, *pair, options(rule), 2 * rule.confidence - 1)
        p_value = both.p_value
        note = f"; on the same {both.rows} predictions {both.second:.4g} against {both.first:.4g}"
    critical = rule.critical
    if critical is not None and rule.worse_than_reference is not None:
        critical = worse(found.reference, critical, higher_is_worse=found.better == "lower")
    against = f", in the reference {found.reference:.4g}" if found.reference == found.reference else ""
    sure = f" ({found.low:.4g} to {found.high:.4g})" if found.low == found.low else ""
    outcome = judge(
        found.value,
        limit,
        p_value,
        rows=counts.with_truth,
        reference_rows=case.reference.with_truth if case.reference else 0,
        message=f"{rule.method} {found.value:.4g}{sure} over {counts.with_truth} predictions with known outcome{against}{note}",
        evidence=lambda: {"numbers": _numbers(case, getattr(rule, "positive", None))},
        finding="worse",
        critical=critical,
        higher_is_worse=found.better == "lower",
    )
    return replace(outcome, **_interval(found))


def _limit(rule: PerformanceRule, case: PerformanceCase, found: Measured) -> float:
    margin = MARGIN if rule.worse_than_reference is None else rule.worse_than_reference
    if rule.method == "bias" and case.reference is not None:
        # A good model's bias is about 0: the margin is one of the errors' own spread.
        return found.reference + BIAS_MARGIN * METRICS["rmse"].value(case.reference, None)
    return worse(found.reference, margin, higher_is_worse=found.better == "lower")


def worse(value: float, margin: float, *, higher_is_worse: bool) -> float:
    """A tenth worse than 0.9 is 0.81; a tenth worse than -0.5 (R² may be negative) is -0.55."""
    return value + (1 if higher_is_worse else -1) * abs(value) * margin


def _interval(found: Measured) -> dict[str, Any]:
    known = found.low == found.low and found.high == found.high
    return {"low": found.low, "high": found.high} if known else {}


def _numbers(case: PerformanceCase, positive: str | None) -> list[list[Any]]:
    def side(counts: PerformanceCounts | None, name: str) -> float | None:
        return None if counts is None else METRICS[name].value(counts, positive)

    lines = [[name, side(case.reference, name), side(case.counts, name)] for name in METRICS]
    known = [line for line in lines if any(isinstance(v, float) and v == v for v in line[1:])]
    before = case.reference
    return [
        ["predictions", before.predictions if before else None, case.counts.predictions],
        ["with ground truth", before.with_truth if before else None, case.counts.with_truth],
        *known,
    ]
