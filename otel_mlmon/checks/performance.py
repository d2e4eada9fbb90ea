"""Performance checks: are the predictions as good as they were, now that the truth is known?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc

from otel_mlmon.checks.context import Limit, ModelView, Rows, compare, no_data, too_little_ground_truth
from otel_mlmon.rulefile import BusinessValue, CustomMetric, PerformanceRule
from otel_mlmon.stats.inference.design_effect import effective_counts, effective_estimate
from otel_mlmon.stats.inference.estimate import Better, Estimate, jackknife, worse
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.classification import business_value
from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.metrics.paired import paired_worse
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS, worse_than_reference
from otel_mlmon.values import CheckResult, MetricValue, PerformanceCounts, RowBlock
from otel_mlmon.values.evidence import Line, PerformanceEvidence
from otel_mlmon.window.outcome_rows import outcomes

# With a budget of false alarms: how much worse than the reference matters, however sure.
LEAST_MARGIN: Final = 0.05
LEAST_BIAS: Final = 0.1  # of the reference's root mean squared error


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric's value with its two-sided confidence interval; `reference` is NaN where the reference has no value.

    `worse` returns the p-value of the metric not being worse than a limit; `worse_than_reference` the one against the
    reference, which is a sample too.
    """

    value: float
    low: float
    high: float
    better: Better
    reference: float
    worse: Callable[[float], float]
    worse_than_reference: Callable[[], float]

    @property
    def interval(self) -> dict[str, Any]:
        """Return the ends of the interval; {} where they are not known."""
        known = self.low == self.low and self.high == self.high
        return {"low": self.low, "high": self.high} if known else {}


def performance(rule: PerformanceRule, view: ModelView) -> CheckResult:
    """Compare the metric over the predictions with ground truth with its limit."""
    counts = view.counts
    if (problem := too_little_ground_truth(rule, counts)) is not None:
        return problem
    measured = measure(rule, view)
    if rule.absolute is None and measured.reference != measured.reference:
        message = f"the reference has no {rule.method}; create it with ground truth (and scores, where the metric is "
        result = no_data("no_reference", message + "about them)", rows=counts.with_truth)
        value = None if measured.value != measured.value else measured.value
        return replace(result, value=value, **measured.interval)
    limit = _limit(rule, view, measured)
    p_value, note = _p_value(rule, view, measured, limit)
    before = view.expected_counts
    against = f", in the reference {measured.reference:.4g}" if measured.reference == measured.reference else ""
    sure = f" ({measured.low:.4g} to {measured.high:.4g})" if measured.low == measured.low else ""
    result = compare(
        measured.value,
        Limit(limit, _critical(rule, measured), higher_is_worse=measured.better == "lower"),
        p_value,
        rows=counts.with_truth,
        reference_rows=before.with_truth if before else 0,
        message=f"{rule.method} {measured.value:.4g}{sure} over {counts.with_truth} predictions with known outcome"
        f"{against}{note}",
        evidence=lambda: PerformanceEvidence(_numbers(view, getattr(rule, "positive", None))),
        finding="worse",
    )
    return replace(result, **measured.interval)


def _limit(rule: PerformanceRule, view: ModelView, measured: Measured) -> float:
    """Return the limit that the rule states, or the one that follows from the reference."""
    if rule.absolute is not None:
        return rule.absolute
    if rule.method == "bias" and view.expected_counts is not None:
        # A good model's bias is about 0: the margin is one of the errors' own spread.
        return measured.reference + LEAST_BIAS * METRICS["rmse"].value(view.expected_counts, None)
    margin = LEAST_MARGIN if rule.worse_than_reference is None else rule.worse_than_reference
    return _worse_by(measured, margin)


def _critical(rule: PerformanceRule, measured: Measured) -> float | None:
    relative = rule.critical is not None and rule.worse_than_reference is not None
    return _worse_by(measured, rule.critical) if relative and rule.critical is not None else rule.critical


def _worse_by(measured: Measured, margin: float) -> float:
    """A tenth worse than 0.9 is 0.81; a tenth worse than -0.5 (R² may be negative) is -0.55."""
    return measured.reference + (1 if measured.better == "lower" else -1) * abs(measured.reference) * margin


def _p_value(rule: PerformanceRule, view: ModelView, measured: Measured, limit: float) -> tuple[float, str]:
    """Return the p-value, and a note where it comes from pairs of predictions of two versions."""
    pairs = champion_pairs(view) if rule.absolute is None else None
    if pairs is not None:
        both = paired_worse(rule.method, *pairs, options(rule), 2 * rule.confidence - 1)
        return both.p_value, f"; on the same {both.rows} predictions {both.second:.4g} against {both.first:.4g}"
    budgeted = rule.absolute is None and rule.worse_than_reference is None
    return measured.worse_than_reference() if budgeted and view.expected_counts else measured.worse(limit), ""


def _numbers(view: ModelView, positive: str | None) -> tuple[Line, ...]:
    counts, before = view.counts, view.expected_counts

    def side(of: PerformanceCounts | None, name: str) -> float | None:
        return None if of is None else METRICS[name].value(of, positive)

    lines = [Line(name, side(before, name), side(counts, name)) for name in METRICS]
    known = [line for line in lines if any(isinstance(v, float) and v == v for v in line[1:])]
    return (
        Line("predictions", before.predictions if before else None, counts.predictions),
        Line("with ground truth", before.with_truth if before else None, counts.with_truth),
        *known,
    )


def measure(rule: PerformanceRule, view: ModelView) -> Measured:
    """Measure the rule's metric over the predictions with ground truth."""
    confidence = 2 * rule.confidence - 1  # a limit outside of the interval is one that the rule is sure of
    if rule.method in METRICS:
        return _of_sums(rule.method, view, getattr(rule, "positive", None), confidence)
    return _OWN_MEASURES.get(type(rule), _of_rows)(rule, view, confidence)


def _of_sums(method: str, view: ModelView, positive: str | None, confidence: float) -> Measured:
    metric, before = METRICS[method], view.expected_counts
    effect, then_effect = view.design_effects(method)
    counts = effective_counts(view.counts, effect)
    known = effective_counts(before, then_effect) if before else None
    interval = metric.estimate(counts, positive, confidence)
    return Measured(
        metric.value(view.counts, positive),
        interval.low,
        interval.high,
        metric.better,
        metric.value(before, positive) if before else math.nan,
        lambda limit: metric.worse(counts, limit, positive),
        lambda: worse_than_reference(method, counts, known, positive) if known else math.nan,
    )


def _of_rows(rule: PerformanceRule, view: ModelView, confidence: float) -> Measured:
    """A metric that no sums give."""
    effect, then_effect = view.design_effects(rule.method)
    metric = ROW_METRICS[rule.method]
    before = _figures(view).get(rule.method) if getattr(rule, "positive", None) is None else None
    then = None if before is None else (before.value, before.standard_error * math.sqrt(then_effect))
    estimate = metric.estimate(known_outcomes(view, getattr(rule, "query", "")), options(rule), confidence)
    return _of_estimate(effective_estimate(estimate, effect, confidence), metric.better, then)


def _of_values(rule: BusinessValue, view: ModelView, confidence: float) -> Measured:
    effect, _ = view.design_effects(rule.method)
    matrix = {(truth, predicted): value for truth, by in rule.values.items() for predicted, value in by.items()}
    estimate = business_value(view.counts.confusion, matrix, confidence)
    return _of_estimate(effective_estimate(estimate, effect, confidence), "higher", None)


def _of_sql(rule: CustomMetric, view: ModelView, confidence: float) -> Measured:
    effect, _ = view.design_effects(rule.method)
    sql, (block, rows) = view.context.sql, _known_rows(view)
    estimate = jackknife(
        lambda groups: [] if block is None or sql is None else sql.aggregate(block, rows, rule.expression, groups),
        len(rows),
        confidence,
    )
    better: Better = "higher" if rule.limit == "below" else "lower"
    return _of_estimate(effective_estimate(estimate, effect, confidence), better, None)


# Rule models whose metric is in no table of metrics.
_OWN_MEASURES: Final[Mapping[type[PerformanceRule], Callable[[Any, ModelView, float], Measured]]] = {
    BusinessValue: _of_values,
    CustomMetric: _of_sql,
}


def options(rule: PerformanceRule) -> MetricOptions:
    """Return the options of the rule's metric, where its model has them."""
    return MetricOptions(getattr(rule, "positive", None), getattr(rule, "quantile", 0.5), getattr(rule, "k", None))


def _of_estimate(estimate: Estimate, better: Better, before: tuple[float, float] | None) -> Measured:
    def against_reference() -> float:
        if before is None:
            return math.nan
        error = estimate.standard_error
        window = estimate.distribution or SamplingDistribution(estimate.value, error, max(1, estimate.rows - 1))
        unit = window.standard_error / error if error > 0 else 1.0
        both = window._replace(standard_error=math.hypot(window.standard_error, before[1] * unit))
        return worse(estimate._replace(distribution=both), before[0], better)

    return Measured(
        estimate.value,
        estimate.low,
        estimate.high,
        better,
        before[0] if before else math.nan,
        lambda limit: worse(estimate, limit, better),
        against_reference,
    )


def _figures(view: ModelView) -> Mapping[str, MetricValue]:
    """The reference's values of metrics that no sums give, of this segment; of the whole where it is not known."""
    if view.reference is None:
        return {}
    part = view.reference.segments.get(view.segment)
    return view.reference.metric_values if part is None else part.metric_values


def _known_rows(view: ModelView) -> tuple[RowBlock | None, Rows]:
    block, rows = view.block()
    return block, rows if block is None else rows[block.truth_known[rows]]


def known_outcomes(view: ModelView, query: str = "") -> Outcomes:
    """Read the predictions with ground truth; `query` names the field that groups the rows of a ranking."""
    block, rows = _known_rows(view)
    return Outcomes(np.zeros(0), np.zeros(0)) if block is None else outcomes(block, rows, query=query)


def champion_pairs(view: ModelView) -> tuple[Outcomes, Outcomes] | None:
    """Return champion's and challenger's outcomes row by row of one prediction id.

    None where no two versions are compared, and where no id with ground truth has both.
    """
    champion = view.context.champion
    if champion is None:
        return None
    block, theirs = champion.rows.select(champion.version, view.segment)
    if block is None or block.ids is None:
        return None
    ours = champion.rows.select(view.context.version, view.segment)[1]
    one, other = (rows[block.truth_known[rows]] for rows in (theirs, ours))
    place = pc.index_in(block.ids.take(other), value_set=block.ids.take(one)).to_numpy(zero_copy_only=False)
    matched = ~np.isnan(place.astype(np.float64))
    if not matched.any():
        return None
    return outcomes(block, one[place[matched].astype(np.int64)]), outcomes(block, other[matched])
