"""The kind of a shift: why errors have grown.

The inputs changed (covariate drift), the relation of inputs and truth changed (concept drift), or the model did.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.checks.context import Rows
from otel_mlmon.checks.losses import (
    LOSSES,
    Metric,
    counted_loss,
    figure,
    loss_model,
    model_inputs,
    row_losses,
    worse_by,
)
from otel_mlmon.stats.drift.principal_components import reconstruction_errors
from otel_mlmon.stats.drift.shift_kind import Split, split
from otel_mlmon.stats.estimation.dle import mean_loss_uncertainty, predict_losses
from otel_mlmon.stats.estimation.surrogate import distance, in_support, surrogate_predictions
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.p_values import t_quantile, t_tail
from otel_mlmon.stats.metrics.outcomes import losses_of
from otel_mlmon.values import Reference, RowBlock
from otel_mlmon.values.estimators import SurrogateModel
from otel_mlmon.values.evidence import Kind, ShiftKind
from otel_mlmon.window.outcome_rows import outcomes

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

FEWEST_ROWS: Final = 50  # to compare
MOSTLY: Final = 0.8  # share of the growth above which the inputs explain it; below 1 minus this, the concept
_WIDEST: Final = 0.3  # half of the share's 90 % interval, above which the kind is unknown
_GROWTH_P_VALUE: Final = 0.05  # below which losses have grown
_LEAST_CHANGE: Final = 1.3  # times the usual distance of the predictions from the surrogate's
_CHANGE_P_VALUE: Final = 0.01  # below which the predictions have changed
_BROKEN_RELATIONS: Final = 0.5  # standard deviations of the reconstruction error; above, inputs are related otherwise
_OUT_OF_SUPPORT: Final = 0.2  # share of the rows beyond the reference's ranges, above which its models say little

Column = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Growth:
    """The growth of the mean loss over `rows`, split by inputs; `before` is the reference's mean loss and its error.

    `text` is the growth in words, `expected` the metric that the reference expects of these rows.
    """

    rows: Rows
    losses: Floats
    before: tuple[float, float]
    split: Split
    expected: float
    text: str


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
    if block is None or reference is None:
        return ShiftKind("unknown", "the reference has no model of the losses: create it again with ground truth")
    if metric == "rmse" and _steadier(block, rows, reference):
        metric = "mae"
    growth = _growth(block, rows, reference, metric)
    if isinstance(growth, ShiftKind):
        return growth
    n = len(growth.rows)
    if not t_tail(growth.split.growth, growth.split.growth_error, n - 1) <= _GROWTH_P_VALUE:
        message = f"{growth.text}, which chance explains"
        return ShiftKind("unknown", message, growth=growth.split.growth, rows=n)
    change = model_change(block, growth.rows, reference, metric)
    other = None if change is None else _by_model(change, growth, block, reference)
    return other or _by_inputs(growth, block, reference)


def _growth(block: RowBlock, rows: Rows, reference: Reference, metric: Metric) -> _Growth | ShiftKind:
    """Return the growth, or why it is unknown."""
    model = loss_model(reference, metric)
    if model is None:
        return ShiftKind("unknown", "the reference has no model of the losses: create it again with ground truth")
    known, losses = row_losses(block, rows, metric)
    n = len(known)
    if n < FEWEST_ROWS:
        return ShiftKind("unknown", f"{n} predictions have a known outcome; {FEWEST_ROWS} are needed", rows=n)
    inputs = model_inputs(block, known, reference, model)
    mean, variance, reference_rows = counted_loss(reference.performance, metric)
    if inputs is None or not reference_rows:
        return ShiftKind("unknown", "an input of the model of the losses did not come", rows=n)
    before = (mean, math.sqrt(variance / reference_rows))
    expected = predict_losses(model, inputs)
    expected_mean, own_error = float(expected.mean()), mean_loss_uncertainty(model, inputs, expected)
    surprise, effect = losses - expected, design_effect_of(model.design_effects, n)
    parts = split(
        before,
        (expected_mean, float(expected.std(ddof=1)) / math.sqrt(n), own_error),
        (float(surprise.mean()), float(surprise.std(ddof=1)) * math.sqrt(effect / n)),
    )
    text = f"{metric} {figure(mean, metric):.4g} → {figure(float(losses.mean()), metric):.4g}"
    return _Growth(known, losses, before, parts, figure(max(0.0, expected_mean), metric), text)


def _by_inputs(growth: _Growth, block: RowBlock, reference: Reference) -> ShiftKind:
    """Return covariate drift, concept drift or both, by the share of the growth that the inputs explain."""
    parts, n = growth.split, len(growth.rows)
    reach = t_quantile(0.9, n - 1) * parts.share_error
    kind, message = _verdict(parts.share, reach, t_tail(parts.inputs, parts.inputs_error, n - 1) <= _GROWTH_P_VALUE)
    if kind in ("concept", "both") and out_of_support(block, growth.rows, reference):
        kind, message = "unknown", "the inputs are unlike all inputs of the reference"
    elif kind in ("concept", "both") and (reference.estimators is None or reference.estimators.surrogate is None):
        message += " – or the model has changed: the reference has no surrogate of it"
    return ShiftKind(
        kind,
        f"{growth.text}; for these inputs {growth.expected:.4g} is expected: {message}",
        parts.share,
        parts.share - reach,
        parts.share + reach,
        parts.growth,
        parts.inputs,
        parts.concept,
        n,
    )


def _verdict(share: float, reach: float, worse_inputs: bool) -> tuple[Kind, str]:
    part = f"{min(max(share, 0.0), 1.0):.0%} (give or take {reach:.0%})"
    low, high = share - reach, share + reach
    if share <= 1 - MOSTLY and high <= 0.5:
        return "concept", f"other inputs explain {part} of the growth; the truth has changed for inputs like before"
    if reach <= _WIDEST and not worse_inputs:
        return "unknown", "it is uncertain whether the inputs have changed for the worse"
    if worse_inputs and low >= 0.5 and high >= MOSTLY:
        return "covariate", f"other inputs explain {part} of the growth; the relation of inputs and truth is as before"
    if worse_inputs and low > 1 - MOSTLY and high < MOSTLY:
        return "both", f"other inputs explain {part} of the growth, another relation of inputs and truth the rest"
    return "unknown", "too uncertain to tell other inputs from another relation of inputs and truth"


def _by_model(change: ModelChange, growth: _Growth, block: RowBlock, reference: Reference) -> ShiftKind | None:
    """Return another model as the kind; None where the other predictions cost too little to explain the growth."""
    n, former = len(growth.losses), growth.losses - change.cost
    parts = split(
        growth.before,
        (float(former.mean()), float(former.std(ddof=1)) / math.sqrt(n), 0.0),
        (float(change.cost.mean()), change.cost_error),
    )
    share, reach = 1 - parts.share, t_quantile(0.9, n - 1) * parts.share_error
    if share <= 1 - MOSTLY:
        return None
    kind: Kind = "unknown"
    if out_of_support(block, growth.rows, reference):
        message = "the model predicts otherwise, but for inputs that are unlike all inputs of the reference"
    elif not share - reach > 1 - MOSTLY:
        message = "the model predicts otherwise for inputs like before; whether that is the reason is too uncertain"
    else:
        part = f"{min(share, 1.0):.0%} (give or take {reach:.0%})"
        kind, message = (
            "model",
            f"another model explains {part} of the growth; for inputs like before, {change.message}",
        )
    return ShiftKind(
        kind,
        f"{growth.text}: {message}",
        share,
        share - reach,
        share + reach,
        parts.growth,
        rows=n,
        model=parts.concept,
        moved=change.difference,
        usual=change.usual,
    )


def _steadier(block: RowBlock, rows: Rows, reference: Reference) -> bool:
    """Return whether absolute errors have grown alike: a few rows make up most of the squared errors."""
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


@dataclass(frozen=True, slots=True)
class ModelChange:
    """The difference of the predictions from the surrogate model's, over `rows` rows.

    `difference` is the root of the mean squared difference, or the share of other classes; `usual` is its expected
    value, `mean` the mean difference (NaN for classes). `cost` is the change of each row's loss, `cost_error` the
    standard error of its mean.
    """

    rows: int
    difference: float
    usual: float
    mean: float
    cost: Floats
    cost_error: float

    @property
    def message(self) -> str:
        """The difference in words."""
        if math.isnan(self.mean):
            return f"it predicts another class for {self.difference:.1%} of them ({self.usual:.1%} is usual)"
        return (
            f"it is {self.difference:.4g} off its former predictions ({self.usual:.4g} is usual), "
            f"{self.mean:+.4g} on average"
        )


def model_change(block: RowBlock, rows: Rows, reference: Reference, metric: Metric) -> ModelChange | None:
    """Return the change of a model that certainly predicts otherwise for inputs like before, and not just a little.

    None elsewhere, and where the reference has no surrogate model. `rows` must have a loss. Whether predictions have
    changed does not depend on the truth, only the cost does: so no change of the truth looks like another model.
    Squared differences find a model that is too high for some inputs and too low for others.
    """
    surrogate = reference.estimators.surrogate if reference.estimators else None
    loss = LOSSES[metric]
    if surrogate is None or loss not in surrogate.excess:
        return None
    inputs = model_inputs(block, rows, reference, surrogate)
    if inputs is None:
        return None
    inside = in_support(surrogate, inputs)
    n = int(inside.sum())
    if n < FEWEST_ROWS:
        return None
    made = _predictions(block, rows, surrogate, inputs)
    apart = distance(made.given, made.expected, made.classes)[inside]
    usual = predict_losses(surrogate.difference, inputs[inside])
    surprise = apart - usual
    grouped = design_effect_of(surrogate.difference.design_effects, n)
    own_error = mean_loss_uncertainty(surrogate.difference, inputs[inside], usual)
    error = math.hypot(float(surprise.std(ddof=1)) * math.sqrt(grouped / n), own_error)
    large = float(apart.mean()) >= _LEAST_CHANGE * float(usual.mean())
    if not large or not t_tail(float(surprise.mean()), error, n - 1) <= _CHANGE_P_VALUE:
        return None
    excess, excess_error = surrogate.excess[loss]
    extra = losses_of(loss, made.given, made.truth) - losses_of(loss, made.expected, made.truth) - excess
    cost = np.where(inside, extra, 0.0)
    cost_error = math.hypot(float(cost.std(ddof=1)) * math.sqrt(grouped / len(cost)), excess_error)
    difference, usually = float(apart.mean()), float(usual.mean())
    if made.classes:
        return ModelChange(n, difference, usually, math.nan, cost, cost_error)
    mean = float((made.given - made.expected)[inside].mean())
    return ModelChange(n, math.sqrt(difference), math.sqrt(usually), mean, cost, cost_error)


class _Predictions(NamedTuple):
    """Predictions of the model and of its surrogate, and the truth; class codes if `classes`."""

    given: Column
    expected: Column
    truth: Column
    classes: bool


def _predictions(block: RowBlock, rows: Rows, surrogate: SurrogateModel, inputs: Floats) -> _Predictions:
    known, expected = outcomes(block, rows), surrogate_predictions(surrogate, inputs)
    if not surrogate.classes:
        return _Predictions(known.prediction, expected, known.truth, classes=False)
    place = {name: float(code) for code, name in enumerate(known.classes)}
    codes = np.array([place.get(name, -1.0) for name in surrogate.classes])  # -1: a class that no row has
    return _Predictions(known.predicted_class, codes[expected.astype(np.int64)], known.true_class, classes=True)


def out_of_support(block: RowBlock, rows: Rows, reference: Reference) -> bool:
    """Return whether the inputs are unlike the reference's, so that its models say little about them.

    By ranges, and by principal components: the reference has no rows with other relations between the inputs.
    """
    surrogate = reference.estimators.surrogate if reference.estimators else None
    inputs = None if surrogate is None else model_inputs(block, rows, reference, surrogate)
    if surrogate is not None and inputs is not None and in_support(surrogate, inputs).mean() < 1 - _OUT_OF_SUPPORT:
        return True
    components = reference.components
    if components is None:
        return False
    columns = [cells.numbers for name in components.names if (cells := block.fields.get(name)) is not None]
    if len(columns) < len(components.names):
        return True
    matrix = np.stack([column[rows] for column in columns if column is not None], axis=1)
    errors = reconstruction_errors(components, matrix)
    limit = components.error_mean + _BROKEN_RELATIONS * components.error_deviation
    return len(errors) >= FEWEST_ROWS and not errors.mean() <= limit
