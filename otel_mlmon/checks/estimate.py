"""Performance before the ground truth: the reference's models of the errors, applied to the window's predictions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.checks.context import Limit, ModelView, compare, no_data, too_few_predictions
from otel_mlmon.rulefile.outcome_rules import EstimateRule
from otel_mlmon.stats.estimation.cbpe import expected_metric
from otel_mlmon.stats.estimation.dle import expected_loss
from otel_mlmon.stats.estimation.inputs import input_problem, input_rows
from otel_mlmon.stats.inference.estimate import Estimate, worse
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import CheckResult, Reference, RowBlock
from otel_mlmon.values.estimators import LOSS_OF, Calibration, LossModel
from otel_mlmon.values.evidence import EstimateEvidence, Line
from otel_mlmon.window.outcome_rows import class_texts, coded, scores_of
from otel_mlmon.wire.semconv import FIELD_PREDICTION

if TYPE_CHECKING:
    import numpy.typing as npt

CONFIDENCE: Final = 0.95  # that the realised figure of the same rows lies in the interval
_SEED: Final = 0


def estimate(rule: EstimateRule, view: ModelView) -> CheckResult:
    """The metric that is to be expected of the window's predictions, against the reference's own."""
    metric, n = rule.estimate, view.n
    reference = view.reference
    if reference is None:
        return no_data("no_reference", "there is no reference to estimate from", rows=n)
    estimators = reference.estimators
    if estimators is None or metric not in estimators.metrics:
        wants = "predictions and ground truth"
        if metric not in LOSS_OF:
            wants = "predictions, ground truth and scores (--score-column)"
        message = f"the reference has nothing to estimate {metric} by; create it with {wants}"
        return no_data("no_estimator", message, rows=n)
    before, reference_rows = expected_of(reference, view.segment, metric, rule.positive)
    if math.isnan(before):
        return no_data("no_reference", f"the reference has no {metric} of this", rows=n)
    if n < rule.min_rows:
        return too_few_predictions(n, rule.min_rows)
    block, rows = view.block()
    if block is None or not len(rows):
        return too_few_predictions(0, rule.min_rows)
    if metric in LOSS_OF:
        expected = _of_losses(metric, estimators.losses[LOSS_OF[metric]], reference, block, rows)
    else:
        assert estimators.calibration is not None
        expected = _of_scores(rule, estimators.calibration, block, rows)
    if isinstance(expected, CheckResult):
        return expected
    if expected.rows < rule.min_rows:
        return too_few_predictions(expected.rows, rule.min_rows)
    higher_is_worse = metric in LOSS_OF
    limit = before + (1 if higher_is_worse else -1) * abs(before) * rule.worse_than_reference
    judged = compare(
        expected.value,
        Limit(limit, higher_is_worse=higher_is_worse),
        worse(expected, limit, "lower" if higher_is_worse else "higher"),
        rows=expected.rows,
        reference_rows=reference_rows,
        message=f"{metric} is expected to be {expected.value:.4g} ({expected.low:.4g} to {expected.high:.4g}) once the "
        f"truth of {expected.rows} predictions is known, in the reference {before:.4g}",
        finding="worse",
        evidence=lambda: EstimateEvidence(_numbers(metric, before, reference_rows, expected, limit)),
    )
    return judged if judged.value is None else replace(judged, low=expected.low, high=expected.high)


def _numbers(metric: str, before: float, reference_rows: int, expected: Estimate, limit: float) -> tuple[Line, ...]:
    return (
        Line("predictions", reference_rows, expected.rows),
        Line(metric, before, expected.value),
        Line(f"{metric}, at least", None, expected.low),
        Line(f"{metric}, at most", None, expected.high),
        Line("threshold", None, limit),
    )


def expected_of(reference: Reference, segment: str, metric: str, positive: str | None) -> tuple[float, int]:
    """Return the reference's metric, of the segment where it knows that, and its number of rows; NaN without one."""
    part = reference.segments.get(segment)
    known = part if part is not None else reference
    if metric == "roc_auc":
        figure = known.metric_values.get(metric)
        return (math.nan, 0) if figure is None else (figure.value, figure.rows)
    counts = known.performance
    return (math.nan, 0) if counts is None else (METRICS[metric].value(counts, positive), counts.with_truth)


def _of_losses(
    metric: str, model: LossModel, reference: Reference, block: RowBlock, rows: npt.NDArray[np.int64]
) -> Estimate | CheckResult:
    problem = input_problem(block.fields, reference.fields, model.inputs)
    if problem:
        return no_data("no_values", f"{metric} cannot be estimated: {problem}", rows=len(rows))
    predicted = block.fields[FIELD_PREDICTION].numbers
    if predicted is not None:
        rows = rows[np.isfinite(predicted[rows])]
    if not len(rows):
        return too_few_predictions(0, 1)
    inputs = input_rows(block.fields, reference.fields, model.inputs, rows)
    return expected_loss(metric, model, inputs, CONFIDENCE)  # type: ignore[arg-type]


def _of_scores(
    rule: EstimateRule, made: Calibration, block: RowBlock, rows: npt.NDArray[np.int64]
) -> Estimate | CheckResult:
    scores = scores_of(block, rows)
    gone = [name for name in made.curves if name not in scores]
    if gone:
        names = ", ".join(map(repr, gone))
        message = f"scores of {names} did not come: {rule.estimate} cannot be estimated"
        return no_data("no_scores", message, rows=len(rows))
    if rule.positive is not None and rule.positive not in made.classes:
        classes = ", ".join(map(repr, made.classes))
        return no_data("no_reference", f"the reference knows no class {rule.positive!r}, but {classes}", rows=len(rows))
    cells = block.fields.get(FIELD_PREDICTION)
    texts = None if cells is None else class_texts(cells, rows)
    predicted = np.full(len(rows), -1, np.int32) if texts is None else coded(texts, made.classes)
    return expected_metric(
        rule.estimate,  # type: ignore[arg-type]  # those of losses are not estimated here
        made,
        scores,
        predicted,
        positive=None if rule.positive is None else made.classes.index(rule.positive),
        confidence=CONFIDENCE,
        seed=_SEED,
    )
