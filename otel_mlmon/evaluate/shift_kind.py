"""Why the errors have grown: other inputs, which the model was always worse at, or another truth for the same inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from otel_mlmon.evaluate.losses import Metric, Rows, counted_loss, expected_losses, figure, loss_model, row_losses
from otel_mlmon.stats.design_effect import design_effect_of
from otel_mlmon.stats.shift_kind import split
from otel_mlmon.stats.student import t_quantile, t_tail
from otel_mlmon.values import Reference, RowBlock

Kind = Literal["covariate", "concept", "both", "unknown"]
FEWEST: Final = 50
MOSTLY: Final = 0.8  # share of the growth from which on it is the inputs, and up to 1 minus which it is the concept
_WIDEST: Final = 0.3  # half of the share's 90 % interval, beyond which nothing is said
_SURE: Final = 0.05


@dataclass(frozen=True, slots=True)
class ShiftKind:
    """`share` of the growth that the inputs explain, and its 90 % interval. `growth` of the mean loss is inputs + concept."""

    kind: Kind
    message: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    growth: float | None = None
    inputs: float | None = None
    concept: float | None = None
    rows: int = 0


def shift_kind(block: RowBlock | None, rows: Rows, reference: Reference | None, metric: Metric) -> ShiftKind:
    """Concept or covariate drift, from those of `rows` whose ground truth is known.

    Between the reference's mean loss and the window's there is what the reference expects of the window's rows. Up to there the
    inputs explain the growth, the rest is a change of concept. Reweighting the reference's rows to the window's inputs would
    estimate the same quantity; but a reference holds no rows, only a model of their losses, whose mean over the window's
    rows is the regression form of it. Where the window's inputs are like none of the reference's, the model knows nothing of
    them: it expects what it expected of the nearest ones, and the rest of their losses counts as concept.
    """
    model = loss_model(reference, metric)
    if block is None or reference is None or model is None:
        return ShiftKind("unknown", "the reference has no model of the losses: create it again with ground truth")
    known, losses = row_losses(block, rows, metric)
    n = len(known)
    if n < FEWEST:
        return ShiftKind("unknown", f"{n} predictions have a known outcome; {FEWEST} are needed", rows=n)
    expected = expected_losses(block, known, reference, metric)
    before, variance, reference_rows = counted_loss(reference.performance, metric)
    if expected is None or not reference_rows:
        return ShiftKind("unknown", "an input of the model of the losses did not come", rows=n)
    effect = design_effect_of(model.design_effects, n)
    surprise = losses - expected
    found = split(
        (before, math.sqrt(variance / reference_rows)),
        (float(expected.mean()), float(expected.std(ddof=1)) / math.sqrt(n), model.own.of_mean(expected)),
        (float(surprise.mean()), float(surprise.std(ddof=1)) * math.sqrt(effect / n)),
    )
    now = figure(float(losses.mean()), metric)
    then = figure(before, metric)
    grown = f"{metric} {then:.4g} → {now:.4g}"
    if not t_tail(found.growth, found.growth_error, n - 1) <= _SURE:
        return ShiftKind("unknown", f"{grown}, which chance explains", growth=found.growth, rows=n)
    reach = t_quantile(0.9, n - 1) * found.share_error
    low, high = found.share - reach, found.share + reach
    kind, message = _verdict(found.share, reach, t_tail(found.inputs, found.inputs_error, n - 1))
    middle = figure(max(0.0, float(expected.mean())), metric)
    return ShiftKind(
        kind,
        f"{grown}, of which {middle:.4g} was to be expected of these inputs: {message}",
        found.share,
        low,
        high,
        found.growth,
        found.inputs,
        found.concept,
        n,
    )


def _verdict(share: float, reach: float, inputs_p: float) -> tuple[Kind, str]:
    part = f"{min(max(share, 0.0), 1.0):.0%} (give or take {reach:.0%})"
    if not reach <= _WIDEST:
        return "unknown", "too uncertain to tell other inputs from another relation of inputs and truth"
    if share <= 1 - MOSTLY:
        return "concept", f"other inputs explain {part} of it; the truth has changed for inputs like before"
    if inputs_p > _SURE:
        return "unknown", "that inputs have changed for the worse is not sure"
    if share >= MOSTLY:
        return "covariate", f"other inputs explain {part} of it; the relation of inputs and truth is as before"
    return "both", f"other inputs explain {part} of it, the rest is another relation of inputs and truth"
