"""Losses of single predictions, and the losses that the reference expects of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from otel_mlmon.checks.context import Rows
from otel_mlmon.stats.estimation.dle import predict_losses
from otel_mlmon.stats.estimation.inputs import input_problem, input_rows
from otel_mlmon.stats.inference.summary import mean
from otel_mlmon.stats.metrics.classification import accuracy
from otel_mlmon.stats.metrics.outcomes import losses_of
from otel_mlmon.values import PerformanceCounts, Reference, RowBlock
from otel_mlmon.window.outcome_rows import outcomes

if TYPE_CHECKING:
    from otel_mlmon.values import Floats
    from otel_mlmon.values.estimators import Loss, LossModel, SurrogateModel

Metric = Literal["rmse", "mae", "accuracy"]
LOSSES: Final[dict[Metric, Loss]] = {"rmse": "squared_error", "mae": "absolute_error", "accuracy": "zero_one"}


def row_losses(block: RowBlock, rows: Rows, metric: Metric) -> tuple[Rows, Floats]:
    """Those of `rows` that have a loss, and the loss: squared or absolute error, or 1 where the class is wrong."""
    pairs = outcomes(block, rows)
    if metric == "accuracy":
        losses = losses_of("zero_one", pairs.predicted_class, pairs.true_class)
        has_loss = (pairs.true_class >= 0) & (pairs.predicted_class >= 0)
    else:
        losses = losses_of(LOSSES[metric], pairs.prediction, pairs.truth)
        has_loss = np.isfinite(losses)
    return rows[block.truth_known[rows]][has_loss], losses[has_loss]


def counted_loss(counts: PerformanceCounts | None, metric: Metric) -> tuple[float, float, int]:
    """Mean loss, its variance over rows, and how many; NaN where there are none."""
    if counts is None:
        return math.nan, math.nan, 0
    if metric == "accuracy":
        n = sum(counts.confusion.values())
        wrong = 1 - accuracy(counts.confusion)
        return wrong, wrong * (1 - wrong), n
    first, second = (
        (counts.sum_squared_error, counts.sum_fourth_error)
        if metric == "rmse"
        else (counts.sum_abs_error, counts.sum_squared_error)
    )
    average = mean(first, counts.numeric)
    return average, max(0.0, mean(second, counts.numeric) - average * average), counts.numeric


def figure(loss: float, metric: Metric) -> float:
    """The metric of rows with this mean loss."""
    if metric == "rmse":
        return math.sqrt(loss)
    return loss if metric == "mae" else 1 - loss


def worse_by(loss: float, expected: float, metric: Metric) -> float:
    """How much worse the metric is than expected, relative: above 0 is worse. NaN where that means nothing.

    As in `performance`: a tenth worse than an accuracy of 0.9 is one of 0.81.
    """
    now, then = figure(loss, metric), figure(expected, metric)
    if not then > 0:
        return math.inf if metric != "accuracy" and now > 0 else math.nan
    return 1 - now / then if metric == "accuracy" else now / then - 1


def limit_of(expected: Floats, metric: Metric, margin: float) -> Floats:
    """Mean loss at which the metric is worse by `margin`."""
    if metric == "accuracy":
        return expected + margin * (1 - expected)
    return expected * ((1 + margin) ** 2 if metric == "rmse" else 1 + margin)


def loss_model(reference: Reference | None, metric: Metric) -> LossModel | None:
    """Return the reference's model of the losses of single rows; None where it has none."""
    if reference is None or reference.estimators is None:
        return None
    return reference.estimators.losses.get(LOSSES[metric])


def model_inputs(block: RowBlock, rows: Rows, reference: Reference, model: LossModel | SurrogateModel) -> Floats | None:
    """Return the inputs of one of the reference's models (rows × inputs); None where an input did not come."""
    if input_problem(block.fields, reference.fields, model.inputs):
        return None
    return input_rows(block.fields, reference.fields, model.inputs, rows)


def expected_losses(block: RowBlock, rows: Rows, reference: Reference | None, metric: Metric) -> Floats | None:
    """Return the loss that the reference expects of each row; None without a model of the losses or its inputs."""
    model = loss_model(reference, metric)
    if model is None or reference is None:
        return None
    inputs = model_inputs(block, rows, reference, model)
    return None if inputs is None else predict_losses(model, inputs)
