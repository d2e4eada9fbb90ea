"""The largest difference of a metric between two values of a segment key."""

from __future__ import annotations

from typing import Final

from otel_mlmon.checks.context import (
    EvaluationContext,
    ModelView,
    compare,
    has_enough_ground_truth,
    no_data,
    too_little_ground_truth,
)
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
    if not has_enough_ground_truth(rule, whole.predictions, whole.with_truth):
        return too_little_ground_truth(rule, whole)
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
    gaps = [gap for by in figures.values() if (gap := largest_disparity(by, rule.above * scale)).pairs]
    if not gaps or not scale > 0:
        return no_data(
            "too_few_segments",
            f"fewer than two segments have {rule.min_segment} predictions with ground truth",
            rows=whole.with_truth,
        )
    most = min(gaps, key=lambda gap: (gap.p_value, -gap.difference))
    high, low = (figures[name.partition("=")[0]][name] for name in (most.higher, most.lower))
    rows = {segment: _figure(rule, windows[segment].performance).rows for by in figures.values() for segment in by}
    return compare(
        most.difference / scale,
        rule.above,
        min(1.0, most.p_value * len(gaps)),
        rows=whole.with_truth,
        reference_rows=0,
        message=f"{rule.fairness} is {high.value:.4g} with {most.higher} ({rows[most.higher]} predictions) "
        f"and {low.value:.4g} with {most.lower} ({rows[most.lower]}); {sum(gap.pairs for gap in gaps)} pairs compared",
        finding="gap",
        evidence=lambda: FairnessEvidence(
            tuple(
                SegmentValue(segment, rows[segment], one.value, one.standard_error)
                for by in figures.values()
                for segment, one in sorted(by.items(), key=lambda item: -item[1].value)
            )
        ),
    )


def _independent(rule: FairnessRule, context: EvaluationContext, segment: str) -> PerformanceCounts:
    """Return a segment's sums over as many rows as its errors are worth independent ones."""
    effect, _ = context.view(segment).design_effects(rule.fairness)
    return effective_counts(context.windows[segment].performance, effect)


def _figure(rule: FairnessRule, counts: PerformanceCounts) -> Estimate:
    return METRICS[rule.fairness].estimate(counts, rule.positive, 2 * rule.confidence - 1)
