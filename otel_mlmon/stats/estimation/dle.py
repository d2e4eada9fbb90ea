"""Direct loss estimation: what loss to expect of a prediction, from its inputs and itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from otel_mlmon.stats.estimation.held_out import (
    OwnError,
    Rows,
    Support,
    cross_fitted,
    mean_design_effects,
    own_error,
    support,
)
from otel_mlmon.stats.estimation.trees import Trees, boosted
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.estimate import Estimate, Law, estimated, unknown

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

Loss = Literal["squared_error", "absolute_error", "zero_one"]
LossMetric = Literal["rmse", "mae"]
FITTED_ROWS: Final = 50_000
MEASURED_ROWS: Final = 200_000
FEWEST_ROWS: Final = 200


class MeanLoss(NamedTuple):
    """The mean of the losses to come, and its standard error: of chance, and of the model of them."""

    mean: float
    standard_error: float
    rows: int


@dataclass(frozen=True, slots=True)
class LossModel:
    """Expects the loss of a row from the fields `inputs`.

    The standard deviation of a loss is `spread` times what is expected of it; `own` is the error of the expectation, and
    `design_effects` say how alike the surprises of consecutive rows are. All of these were measured on held-out reference rows;
    `rows` is how many, and `support` where they are.
    """

    inputs: tuple[str, ...]
    trees: Trees
    spread: float
    own: OwnError
    rows: int
    design_effects: Mapping[int, float] = field(default_factory=dict)
    support: Support | None = None

    def __post_init__(self) -> None:
        inputs = len(self.inputs)
        if self.trees.features != inputs or not 0 <= self.spread < math.inf or self.rows < 1:
            raise ValueError("the trees of a loss model do not fit its inputs")
        if self.support is not None and len(self.support.edges) != inputs:
            raise ValueError("the support of a loss model does not fit its inputs")

    def losses(self, rows: Floats) -> Floats:
        """What to expect of each row (rows × inputs): never below 0."""
        return np.maximum(0.0, self.trees.predict(rows))

    def mean(self, rows: Floats) -> MeanLoss:
        """Of these rows (rows × inputs): what chance leaves open averages out over the rows, the model's own error does not."""
        n = len(rows)
        if not n:
            return MeanLoss(math.nan, math.nan, 0)
        losses = self.losses(rows)
        chance = self._variance(losses) / n * design_effect_of(self.design_effects, n)
        return MeanLoss(float(losses.mean()), math.hypot(math.sqrt(chance), self.own_error(rows, losses)), n)

    def own_error(self, rows: Floats, losses: Floats) -> float:
        """Standard error of the mean of the `losses` that are expected of these rows (rows × inputs), without what chance does to them.

        The reference is a sample too: it knows the mean loss of rows like these as well as so many rows of it can. That the
        expectations of single rows are off by much more (the largest of them are too large, the least too small) is noise of the
        trees, which averages out over rows as well.
        """
        leaning = self.support.leaning(rows) if self.support is not None else 0.0
        known = min(self.rows, FITTED_ROWS)
        sampled = self._variance(losses) / known * leaning * design_effect_of(self.design_effects, self.rows)
        return max(self.own.of_mean(losses), math.sqrt(sampled))

    def _variance(self, losses: Floats) -> float:
        """Of a loss around what is expected of it, the mean over rows."""
        return self.spread**2 * float((losses**2).mean())


def expected_loss(metric: LossMetric, model: LossModel, rows: Floats, confidence: float) -> Estimate:
    """What the metric of these rows (rows × inputs) is to be expected to turn out as, and where with `confidence` it will.

    >>> x = np.arange(1000.0)[:, None]
    >>> model = loss_model(["x"], x, np.where(x[:, 0] < 500, 1.0, 9.0), in_order=False)
    >>> round(expected_loss("mae", model, x, 0.95).value, 2), round(expected_loss("rmse", model, x[500:], 0.95).value, 2)
    (5.0, 3.0)
    """
    mean = model.mean(rows)
    if math.isnan(mean.mean):
        return unknown()
    squared = metric == "rmse"
    value = math.sqrt(mean.mean) if squared else mean.mean
    error = mean.standard_error / (2 * value) if squared and value > 0 else mean.standard_error
    law = Law(mean.mean, mean.standard_error, math.inf, "square" if squared else "positive")
    return estimated(value, error, mean.rows, law, confidence)


def loss_model(inputs: Sequence[str], rows: Floats, losses: Floats, *, in_order: bool) -> LossModel:
    """Fitted to the `losses` of reference rows (rows × inputs), at least FEWEST_ROWS of them.

    Source: NannyML's DLE: a gradient-boosted model of the loss, fitted on the reference; its estimate of a metric is the mean of
    what it expects. The standard error is ours.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=(2000, 1))
    >>> fitted = loss_model(["x"], x, (x[:, 0] * rng.normal(size=2000)) ** 2, in_order=False)
    >>> found = fitted.mean(rng.uniform(size=(500, 1)))
    >>> abs(found.mean - 1 / 3) < 2 * found.standard_error < 0.2
    True
    """
    if len(losses) < FEWEST_ROWS:
        raise ValueError(f"a loss model needs at least {FEWEST_ROWS} rows, found {len(losses)}")
    if len(losses) > MEASURED_ROWS:  # the newest, or some of all
        kept = (
            np.arange(len(losses) - MEASURED_ROWS, len(losses))
            if in_order
            else np.sort(np.random.default_rng(0).permutation(len(losses))[:MEASURED_ROWS])
        )
        rows, losses = rows[kept], losses[kept]

    def fit(fitted: Rows, held: Rows) -> Floats:
        chosen = _evenly(fitted, FITTED_ROWS)
        return np.maximum(0.0, boosted(rows[chosen], losses[chosen]).predict(rows[held]))

    expected = cross_fitted(len(losses), fit, in_order=in_order)
    surprise = losses - expected
    squares = float((expected**2).sum())
    spread = math.sqrt(float((surprise**2).sum()) / squares) if squares > 0 else 0.0
    effects = mean_design_effects(surprise) if in_order else {}
    grouped = design_effect_of(effects, len(losses))
    chosen = _evenly(np.arange(len(losses)), FITTED_ROWS)
    return LossModel(
        tuple(inputs),
        boosted(rows[chosen], losses[chosen]),
        spread,
        own_error(expected, (spread * expected) ** 2 * grouped),
        len(losses),
        effects,
        support(rows),
    )


def _evenly(rows: Rows, most: int) -> Rows:
    """At most so many of the rows, at even distances."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
