"""A performance metric of a window: its value, how sure it is, and how sure that it is worse than a limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from otel_mlmon.checks.case import PerformanceCase
from otel_mlmon.rulefile import BusinessValue, CustomMetric, PerformanceRule, QuantileLoss, Ranking
from otel_mlmon.stats.inference.design_effect import effective_counts, effective_estimate
from otel_mlmon.stats.inference.estimate import Better, Estimate, worse
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.classification import business_value
from otel_mlmon.stats.metrics.outcomes import MetricOptions
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS, worse_than_reference

_SUMS_KNOW: Final = frozenset(METRICS)


@dataclass(frozen=True, slots=True)
class Measured:
    """`low` and `high` are a two-sided interval; `reference` is NaN where there is none.

    `worse` says how sure it is that the metric is worse than a limit, and `worse_than_reference` than the reference, itself a
    sample: p-values.
    """

    value: float
    low: float
    high: float
    better: Better
    reference: float
    worse: Callable[[float], float]
    worse_than_reference: Callable[[], float]


def measure(rule: PerformanceRule, case: PerformanceCase) -> Measured:
    """The rule's metric over the predictions whose ground truth is known."""
    confidence = 2 * rule.confidence - 1  # a limit outside of the interval is one that the rule is sure of
    positive = getattr(rule, "positive", None)
    effect, then_effect = case.effect(rule.method)
    if rule.method in _SUMS_KNOW:
        return _of_sums(rule.method, case, positive, confidence)
    if isinstance(rule, BusinessValue):
        matrix = {(truth, predicted): value for truth, by in rule.values.items() for predicted, value in by.items()}
        found = business_value(case.counts.confusion, matrix, confidence)
        return _of_estimate(effective_estimate(found, effect, confidence), "higher", None)
    if isinstance(rule, CustomMetric):
        better: Better = "higher" if rule.limit == "below" else "lower"
        return _of_estimate(
            effective_estimate(case.custom(rule.expression, confidence), effect, confidence), better, None
        )
    query = rule.query if isinstance(rule, Ranking) else ""
    metric = ROW_METRICS[rule.method]
    before = case.figures.get(rule.method) if positive is None else None
    then = None if before is None else (before.value, before.standard_error * math.sqrt(then_effect))
    found = metric.estimate(case.outcomes(query), options(rule), confidence)
    return _of_estimate(effective_estimate(found, effect, confidence), metric.better, then)


def options(rule: PerformanceRule) -> MetricOptions:
    """What the rule's metric is of."""
    return MetricOptions(
        getattr(rule, "positive", None),
        rule.quantile if isinstance(rule, QuantileLoss) else 0.5,
        rule.k if isinstance(rule, Ranking) else None,
    )


def _of_sums(method: str, case: PerformanceCase, positive: str | None, confidence: float) -> Measured:
    metric, before = METRICS[method], case.reference
    effect, then_effect = case.effect(method)
    counts = effective_counts(case.counts, effect)
    interval = metric.estimate(counts, positive, confidence)
    return Measured(
        metric.value(case.counts, positive),
        interval.low,
        interval.high,
        metric.better,
        metric.value(before, positive) if before else math.nan,
        lambda limit: metric.worse(counts, limit, positive),
        lambda: (
            worse_than_reference(method, counts, effective_counts(before, then_effect), positive)
            if before
            else math.nan
        ),
    )


def _of_estimate(found: Estimate, better: Better, before: tuple[float, float] | None) -> Measured:
    def against_reference() -> float:
        if before is None:
            return math.nan
        student = SamplingDistribution(found.value, found.standard_error, max(1, found.rows - 1))
        window = found.distribution or student
        unit = window.standard_error / found.standard_error if found.standard_error > 0 else 1.0
        both = window._replace(standard_error=math.hypot(window.standard_error, before[1] * unit))
        return worse(found._replace(distribution=both), before[0], better)

    return Measured(
        found.value, found.low, found.high, better, before[0] if before else math.nan,
        lambda limit: worse(found, limit, better), against_reference,
    )  # fmt: skip
