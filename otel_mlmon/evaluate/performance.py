"""Performance checks: are the predictions as good as they were, now that the truth is known?"""

from __future__ import annotations

from typing import Any, Final

from otel_mlmon.evaluate.case import Outcome, PerformanceCase, judge, no_data
from otel_mlmon.rulefile import PerformanceRule
from otel_mlmon.stats.degradation import DEGRADATION_TESTS
from otel_mlmon.stats.performance import PERFORMANCE_METRICS
from otel_mlmon.stats.worse import worse_than_reference
from otel_mlmon.values import PerformanceCounts

# With a budget of false alarms: how much worse than the reference matters, however sure.
MARGIN: Final = 0.05
BIAS_MARGIN: Final = 0.1


def enough(rule: PerformanceRule, predictions: Any, with_truth: Any) -> Any:
    """Whether so many known outcomes of so many predictions are enough to judge by; numbers or arrays of them."""
    return (with_truth >= rule.min_ground_truth) & (with_truth >= rule.min_coverage * predictions) & (with_truth > 0)


def performance(rule: PerformanceRule, case: PerformanceCase) -> Outcome:
    """The metric over the predictions whose ground truth is known."""
    counts = case.counts
    if not enough(rule, counts.predictions, counts.with_truth):
        return no_data(
            "too_little_ground_truth",
            f"ground truth is known for {counts.with_truth} of {counts.predictions} predictions; the rule asks for "
            f"{rule.min_ground_truth} and {rule.min_coverage:.0%}",
            rows=counts.with_truth,
        )
    positive = getattr(rule, "positive", None)
    metric = PERFORMANCE_METRICS[rule.method]
    value = metric.function(counts, positive)
    before = metric.function(case.reference, positive) if case.reference else float("nan")
    higher_is_worse = metric.better == "lower"
    limit = getattr(rule, rule.limit)
    if limit is None:
        if before != before:
            return no_data("no_reference", f"the reference has no {rule.method}; create it with ground truth",
                           rows=counts.with_truth)  # fmt: skip
        margin = MARGIN if rule.worse_than_reference is None else rule.worse_than_reference
        # A tenth worse than 0.9 is 0.81; a tenth worse than -0.5 (R² may be negative) is -0.55.
        limit = _worse(before, margin, higher_is_worse)
        if rule.method == "bias":  # a good model's bias is about 0: the margin is one of the errors' own spread
            limit = before + BIAS_MARGIN * PERFORMANCE_METRICS["rmse"].function(case.reference, None)  # type: ignore[arg-type]
    p_value = DEGRADATION_TESTS[rule.method](counts, limit, positive)
    if rule.worse_than_reference is None and getattr(rule, rule.limit) is None and case.reference is not None:
        p_value = worse_than_reference(rule.method, counts, case.reference, positive)
    critical = rule.critical
    if critical is not None and rule.worse_than_reference is not None:
        critical = _worse(before, critical, higher_is_worse)
    reference_rows = case.reference.with_truth if case.reference else 0
    against = f", in the reference {before:.4g}" if before == before else ""
    return judge(
        value,
        limit,
        p_value,
        rows=counts.with_truth,
        reference_rows=reference_rows,
        message=f"{rule.method} {value:.4g} over {counts.with_truth} predictions with known outcome{against}",
        evidence=lambda: {"numbers": _numbers(case, positive)},
        finding="worse",
        critical=critical,
        higher_is_worse=higher_is_worse,
    )


def _worse(value: float, margin: float, higher_is_worse: bool) -> float:
    return value + (1 if higher_is_worse else -1) * abs(value) * margin


def _numbers(case: PerformanceCase, positive: str | None) -> list[list[Any]]:
    def side(counts: PerformanceCounts | None, name: str) -> float | None:
        return None if counts is None else PERFORMANCE_METRICS[name].function(counts, positive)

    lines = [[name, side(case.reference, name), side(case.counts, name)] for name in PERFORMANCE_METRICS]
    known = [line for line in lines if any(isinstance(v, float) and v == v for v in line[1:])]
    before = case.reference
    return [
        ["predictions", before.predictions if before else None, case.counts.predictions],
        ["with ground truth", before.with_truth if before else None, case.counts.with_truth],
        *known,
    ]
