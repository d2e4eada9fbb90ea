"""Another model: does the model predict otherwise for inputs like before, and how much has that cost?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.checks.losses import LOSSES, Metric, Rows, model_inputs
from otel_mlmon.stats.drift.principal_components import reconstruction_errors
from otel_mlmon.stats.estimation.dle import mean_loss_uncertainty, predict_losses
from otel_mlmon.stats.estimation.surrogate import distance, in_support, surrogate_predictions
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.student import t_tail
from otel_mlmon.stats.metrics.outcomes import losses_of
from otel_mlmon.values import Reference, RowBlock
from otel_mlmon.window.outcome_rows import outcomes

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

Column = npt.NDArray[Any]

FEWEST_ROWS: Final = 50  # to compare
_LEAST_CHANGE: Final = 1.3  # times the usual distance of the predictions from the surrogate's
_CHANGE_P_VALUE: Final = 0.01  # below which the predictions have changed
_BROKEN_RELATIONS: Final = (
    0.5  # standard deviations of the reconstruction error, above which inputs are related otherwise
)
_OUT_OF_SUPPORT: Final = 0.2  # share of the rows beyond the reference's ranges, above which its models say little


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
        """In words."""
        if math.isnan(self.mean):
            return f"it answers with another class in {self.difference:.1%} of them ({self.usual:.1%} is usual)"
        return (
            f"it is {self.difference:.4g} off its former answers to them ({self.usual:.4g} is usual), "
            f"{self.mean:+.4g} on average"
        )


def model_change(block: RowBlock, rows: Rows, reference: Reference, metric: Metric) -> ModelChange | None:
    """Return the change of a model that certainly predicts otherwise for inputs like before, and not just a little.

    None elsewhere, and where the reference has no surrogate model. `rows` must have a loss. Whether predictions have
    changed does not depend on the truth, only the cost does: so no change of the truth looks like another model.
    Squared differences find a model that is too high for some inputs and too low for others.
    """
    surrogate = reference.estimators.surrogate if reference.estimators else None
    if surrogate is None or LOSSES[metric] not in surrogate.excess:
        return None
    inputs = model_inputs(block, rows, reference, surrogate)
    if inputs is None:
        return None
    inside = in_support(surrogate, inputs)
    n = int(inside.sum())
    if n < FEWEST_ROWS:
        return None
    known = outcomes(block, rows)
    classes = bool(surrogate.classes)
    expected = surrogate_predictions(surrogate, inputs)
    given: Column = known.predicted_class if classes else known.prediction
    truth: Column = known.true_class if classes else known.truth
    if classes:
        place = {name: float(code) for code, name in enumerate(known.classes)}
        expected = np.array([place.get(name, -1.0) for name in surrogate.classes])[
            expected.astype(np.int64)
        ]  # -1: nobody's class here
    far = distance(given, expected, classes)[inside]
    usual = predict_losses(surrogate.difference, inputs[inside])
    surprise = far - usual
    grouped = design_effect_of(surrogate.difference.design_effects, n)
    own = mean_loss_uncertainty(surrogate.difference, inputs[inside], usual)
    error = math.hypot(float(surprise.std(ddof=1)) * math.sqrt(grouped / n), own)
    large = float(far.mean()) >= _LEAST_CHANGE * float(usual.mean())
    if not large or not t_tail(float(surprise.mean()), error, n - 1) <= _CHANGE_P_VALUE:
        return None
    loss = LOSSES[metric]
    excess, excess_error = surrogate.excess[loss]
    cost = np.where(inside, losses_of(loss, given, truth) - losses_of(loss, expected, truth) - excess, 0.0)
    as_difference = (lambda mean: mean) if classes else math.sqrt
    return ModelChange(
        n,
        as_difference(float(far.mean())),
        as_difference(float(usual.mean())),
        math.nan if classes else float((given - expected)[inside].mean()),
        cost,
        math.hypot(float(cost.std(ddof=1)) * math.sqrt(grouped / len(cost)), excess_error),
    )


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
    columns = [found.numbers for name in components.names if (found := block.fields.get(name)) is not None]
    if len(columns) < len(components.names):
        return True
    errors = reconstruction_errors(
        components, np.stack([column[rows] for column in columns if column is not None], axis=1)
    )
    return (
        len(errors) >= FEWEST_ROWS
        and not errors.mean() <= components.error_mean + _BROKEN_RELATIONS * components.error_deviation
    )
