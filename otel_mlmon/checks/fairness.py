"""The largest difference of a metric between two values of a segment key."""

from __future__ import annotations

from typing import Final

from otel_mlmon.checks.context import EvaluationContext, Limit, ModelView, compare, no_data, too_little_ground_truth
from otel_mlmon.rulefile import FairnessRule
from otel_mlmon.stats.inference.design_effect import effective_counts
from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.stats.metrics.disparity import largest_disparity
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import CheckResult, PerformanceCounts
from otel_mlmon.values.evidence import FairnessEvidence, SegmentValue

ABSOLUTE: Final = frozenset({"accuracy", "precision", "recall", "f1"})


def fairness(rule: FairnessRule, view: ModelView) -> CheckResult:
    """Compare every pair of segments of one key, for each of the rule's keys; the p-value counts the pairs."""
    windows, whole = view.context.windows, view.counts
    if (problem := too_little_ground_truth(rule, whole)) is not None:
        return problem
    if not rule.segments:
        return no_data("no_segments", "the rule names no segment keys; a difference needs two segments")
    scale = 1.0 if rule.fairness in ABSOLUTE else METRICS[rule.fairness].value(whole, rule.positive)
    figures = {
        key: {
            segment: _figure(rule, _independent(rule, view.context, segment))
            for segment, window in windows.items()
            if segment.partition("=")[0] == key and window.performance.with_truth >= rule.min_segment
        }
        for key in rule.segments
    }
    found = (largest_disparity(by, rule.above * scale) for by in figures.values())
    disparities = [disparity for disparity in found if disparity.pairs]
    if not disparities or not scale > 0:
        message = f"fewer than two segments have {rule.min_segment} predictions with ground truth"
        return no_data("too_few_segments", message, rows=whole.with_truth)
    largest = min(disparities, key=lambda disparity: (disparity.p_value, -disparity.difference))
    high, low = (figures[name.partition("=")[0]][name] for name in (largest.higher, largest.lower))
    rows = {segment: _figure(rule, windows[segment].performance).rows for by in figures.values() for segment in by}
    pairs = sum(disparity.pairs for disparity in disparities)
    return compare(
        largest.difference / scale,
        Limit(rule.above),
        min(1.0, largest.p_value * len(disparities)),
        rows=whole.with_truth,
        message=f"{rule.fairness} is {high.value:.4g} with {largest.higher} ({rows[largest.higher]} predictions) "
        f"and {low.value:.4g} with {largest.lower} ({rows[largest.lower]}); {pairs} pairs compared",
        finding="gap",
        evidence=lambda: FairnessEvidence(
            tuple(
                SegmentValue(segment, rows[segment], figure.value, figure.standard_error)
                for by in figures.values()
                for segment, figure in sorted(by.items(), key=lambda item: -item[1].value)
            )
        ),
    )


def _independent(rule: FairnessRule, context: EvaluationContext, segment: str) -> PerformanceCounts:
    """Return a segment's sums over as many rows as its errors are worth independent ones."""
    effect, _ = context.view(segment).design_effects(rule.fairness)
    return effective_counts(context.windows[segment].performance, effect)


def _figure(rule: FairnessRule, counts: PerformanceCounts) -> Estimate:
    return METRICS[rule.fairness].estimate(counts, rule.positive, 2 * rule.confidence - 1)
