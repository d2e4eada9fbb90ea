"""Has the model become another one: does it answer otherwise to inputs like before, and what has that cost?"""

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

FEWEST: Final = 50
_LARGE: Final = 1.3  # times as far from what was to be expected of the model as is usual
_SURE: Final = 0.01
_APART: Final = 0.5  # spreads of the reconstruction error: from there on inputs do not hang together as they did
_OUTSIDE: Final = 0.2  # of the rows


@dataclass(frozen=True, slots=True)
class Moved:
    """How the answers differ from those to be expected, in `rows` rows.

    `difference` is the root of the mean squared difference, or the share of other classes, of which `usual` was to be expected;
    `mean` the mean difference (NaN for classes). `cost` has for each row what the other answer costs, and `cost_error` the standard
    error of their mean.
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
        return f"it is {self.difference:.4g} off its former answers to them ({self.usual:.4g} is usual), {self.mean:+.4g} on average"


def moved(block: RowBlock, rows: Rows, reference: Reference, metric: Metric) -> Moved | None:
    """Where the model surely answers otherwise to inputs like before, and not just a little; None also where that is not known.

    `rows` are those that have a loss. The truth has no part in whether the answers have moved, only in what it costs: so no change of
    the truth looks like another model. That the squares of the differences are looked at, and not their mean, finds a model that is
    too high here and too low there.
    """
    answers = reference.estimators.surrogate if reference.estimators else None
    if answers is None or LOSSES[metric] not in answers.excess:
        return None
    inputs = model_inputs(block, rows, reference, answers)
    if inputs is None:
        return None
    inside = in_support(answers, inputs)
    n = int(inside.sum())
    if n < FEWEST:
        return None
    found = outcomes(block, rows)
    classes = bool(answers.classes)
    said = surrogate_predictions(answers, inputs)
    given: Column = found.predicted_class if classes else found.prediction
    truth: Column = found.true_class if classes else found.truth
    if classes:
        place = {name: float(code) for code, name in enumerate(found.classes)}
        said = np.array([place.get(name, -1.0) for name in answers.classes])[
            said.astype(np.int64)
        ]  # -1: nobody's class here
    far = distance(given, said, classes)[inside]
    usual = predict_losses(answers.difference, inputs[inside])
    surprise = far - usual
    grouped = design_effect_of(answers.difference.design_effects, n)
    own = mean_loss_uncertainty(answers.difference, inputs[inside], usual)
    error = math.hypot(float(surprise.std(ddof=1)) * math.sqrt(grouped / n), own)
    large = float(far.mean()) >= _LARGE * float(usual.mean())
    if not large or not t_tail(float(surprise.mean()), error, n - 1) <= _SURE:
        return None
    loss = LOSSES[metric]
    excess, excess_error = answers.excess[loss]
    cost = np.where(inside, losses_of(loss, given, truth) - losses_of(loss, said, truth) - excess, 0.0)
    as_said = (lambda mean: mean) if classes else math.sqrt
    return Moved(
        n,
        as_said(float(far.mean())),
        as_said(float(usual.mean())),
        math.nan if classes else float((given - said)[inside].mean()),
        cost,
        math.hypot(float(cost.std(ddof=1)) * math.sqrt(grouped / len(cost)), excess_error),
    )


def strange(block: RowBlock, rows: Rows, reference: Reference) -> bool:
    """Whether the inputs are like none that the reference has: what was learnt there says little of them.

    By ranges, and by the principal components: where relations between the inputs are broken, there are no rows either.
    """
    answers = reference.estimators.surrogate if reference.estimators else None
    inputs = None if answers is None else model_inputs(block, rows, reference, answers)
    if answers is not None and inputs is not None and in_support(answers, inputs).mean() < 1 - _OUTSIDE:
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
    return len(errors) >= FEWEST and not errors.mean() <= components.error_mean + _APART * components.error_deviation
