"""Why errors have grown: other inputs, for which the model was always worse; another truth; or another model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from otel_mlmon.checks.losses import (
    Metric,
    Rows,
    counted_loss,
    figure,
    loss_model,
    model_inputs,
    row_losses,
    worse_by,
)
from otel_mlmon.diagnosis.another_model import FEWEST_ROWS, ModelChange, model_change, out_of_support
from otel_mlmon.stats.drift.shift_kind import split
from otel_mlmon.stats.estimation.dle import mean_loss_uncertainty, predict_losses
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.student import t_quantile, t_tail
from otel_mlmon.values import Reference, RowBlock
from otel_mlmon.values.evidence import Kind, ShiftKind

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

MOSTLY: Final = 0.8  # share of the growth above which the inputs explain it; below 1 minus this, the concept
_WIDEST: Final = 0.3  # half of the share's 90 % interval, above which the kind is unknown
_GROWTH_P_VALUE: Final = 0.05  # below which losses have grown


def shift_kind(block: RowBlock | None, rows: Rows, reference: Reference | None, metric: Metric) -> ShiftKind:
    """Tell another model, concept drift and covariate drift apart, from the `rows` with ground truth.

    Another model comes first, since it looks like either of the others. Its cost is the loss of its predictions minus
    the loss of the former model's, which the reference's surrogate model gives.

    The loss that the reference expects of the window's rows lies between the reference's mean loss and the window's. Up
    to there the inputs explain the growth; the rest is a change of concept. Reweighting the reference's rows to the
    window's inputs would estimate the same quantity; but a reference holds no rows, only a model of their losses, and
    its mean over the window's rows is the regression form of that estimate. Where the window's inputs are unlike the
    reference's, the kind is unknown: there the model of the losses extrapolates from the nearest ones.
    """
    if block is not None and reference is not None and metric == "rmse" and _steadier(block, rows, reference):
        metric = "mae"
    model = loss_model(reference, metric)
    if block is None or reference is None or model is None:
        return ShiftKind("unknown", "the reference has no model of the losses: create it again with ground truth")
    known, losses = row_losses(block, rows, metric)
    n = len(known)
    if n < FEWEST_ROWS:
        return ShiftKind("unknown", f"{n} predictions have a known outcome; {FEWEST_ROWS} are needed", rows=n)
    inputs = model_inputs(block, known, reference, model)
    before, variance, reference_rows = counted_loss(reference.performance, metric)
    if inputs is None or not reference_rows:
        return ShiftKind("unknown", "an input of the model of the losses did not come", rows=n)
    expected = predict_losses(model, inputs)
    effect = design_effect_of(model.design_effects, n)
    surprise = losses - expected
    growth = split(
        (before, math.sqrt(variance / reference_rows)),
        (
            float(expected.mean()),
            float(expected.std(ddof=1)) / math.sqrt(n),
            mean_loss_uncertainty(model, inputs, expected),
        ),
        (float(surprise.mean()), float(surprise.std(ddof=1)) * math.sqrt(effect / n)),
    )
    now = figure(float(losses.mean()), metric)
    then = figure(before, metric)
    grown = f"{metric} {then:.4g} → {now:.4g}"
    if not t_tail(growth.growth, growth.growth_error, n - 1) <= _GROWTH_P_VALUE:
        return ShiftKind("unknown", f"{grown}, which chance explains", growth=growth.growth, rows=n)
    change = model_change(block, known, reference, metric)
    unlike = change is not None and out_of_support(block, known, reference)
    other = (
        None
        if change is None
        else _by_model(change, losses, before, math.sqrt(variance / reference_rows), grown, unlike)
    )
    if other is not None:
        return other
    reach = t_quantile(0.9, n - 1) * growth.share_error
    low, high = growth.share - reach, growth.share + reach
    kind, message = _verdict(growth.share, reach, t_tail(growth.inputs, growth.inputs_error, n - 1) <= _GROWTH_P_VALUE)
    if kind in ("concept", "both") and out_of_support(block, known, reference):
        kind, message = "unknown", "the inputs are like none that the reference has"
    elif kind in ("concept", "both") and (reference.estimators is None or reference.estimators.surrogate is None):
        message += " – or the model, of whose answers the reference knows nothing"
    middle = figure(max(0.0, float(expected.mean())), metric)
    return ShiftKind(
        kind,
        f"{grown}, of which {middle:.4g} was to be expected of these inputs: {message}",
        growth.share,
        low,
        high,
        growth.growth,
        growth.inputs,
        growth.concept,
        n,
    )


def _by_model(
    change: ModelChange, losses: Floats, before: float, before_error: float, grown: str, unlike: bool
) -> ShiftKind | None:
    """None where the other predictions cost too little to explain the growth."""
    n, former = len(losses), losses - change.cost
    growth = split(
        (before, before_error),
        (float(former.mean()), float(former.std(ddof=1)) / math.sqrt(n), 0.0),
        (float(change.cost.mean()), change.cost_error),
    )
    share, reach = 1 - growth.share, t_quantile(0.9, n - 1) * growth.share_error
    if share <= 1 - MOSTLY:
        return None
    kind: Kind = "unknown"
    if unlike:
        message = "the model answers otherwise, but to inputs that are like none that the reference has"
    elif not share - reach > 1 - MOSTLY:
        message = "the model answers otherwise to inputs like before, but that this is why is too uncertain"
    else:
        part = f"{min(share, 1.0):.0%} (give or take {reach:.0%})"
        kind, message = "model", f"another model explains {part} of it; for inputs like before, {change.message}"
    return ShiftKind(
        kind,
        f"{grown}: {message}",
        share,
        share - reach,
        share + reach,
        growth.growth,
        None,
        None,
        n,
        growth.concept,
        change.difference,
        change.usual,
    )


def _steadier(block: RowBlock, rows: Rows, reference: Reference) -> bool:
    """Whether the absolute errors have grown alike: a few rows make up most of the squared errors."""
    if loss_model(reference, "mae") is None:
        return False
    squared, absolute = (
        worse_by(float(losses.mean()), counted_loss(reference.performance, metric)[0], metric)
        if len(losses)
        else math.nan
        for metric in ("rmse", "mae")
        for losses in [row_losses(block, rows, metric)[1]]
    )
    return absolute >= squared / 2 > 0


def _verdict(share: float, reach: float, worse_inputs: bool) -> tuple[Kind, str]:
    part = f"{min(max(share, 0.0), 1.0):.0%} (give or take {reach:.0%})"
    low, high = share - reach, share + reach
    if share <= 1 - MOSTLY and high <= 0.5:
        return "concept", f"other inputs explain {part} of it; the truth has changed for inputs like before"
    if reach <= _WIDEST and not worse_inputs:
        return "unknown", "that inputs have changed for the worse is not sure"
    if worse_inputs and low >= 0.5 and high >= MOSTLY:
        return "covariate", f"other inputs explain {part} of it; the relation of inputs and truth is as before"
    if worse_inputs and low > 1 - MOSTLY and high < MOSTLY:
        return "both", f"other inputs explain {part} of it, the rest is another relation of inputs and truth"
    return "unknown", "too uncertain to tell other inputs from another relation of inputs and truth"
