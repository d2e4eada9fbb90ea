"""Direct loss estimation (DLE): the expected loss of a prediction, from its inputs and the prediction itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from otel_mlmon.stats.estimation.held_out import (
    Rows,
    cross_fitted,
    fit_support,
    fit_uncertainty,
    mean_design_effects,
    uncertainty_of_mean,
    weighting_effect,
)
from otel_mlmon.stats.estimation.trees import fit_trees, predict
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.estimate import Estimate, estimated, unknown
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.values import Floats
from otel_mlmon.values.estimators import LossModel

LossMetric = Literal["rmse", "mae"]
FITTED_ROWS: Final = 50_000
MEASURED_ROWS: Final = 200_000
FEWEST_ROWS: Final = 200


class MeanLoss(NamedTuple):
    """The expected mean loss of `rows` rows. The standard error is that of chance and of the model together."""

    mean: float
    standard_error: float
    rows: int


def predict_losses(model: LossModel, rows: Floats) -> Floats:
    """Return the expected loss of each row (rows × inputs), never below 0.

    >>> model = fit_loss_model(["x"], np.arange(400.0)[:, None], np.ones(400), in_order=False)
    >>> predict_losses(model, np.array([[5.0]])).tolist()
    [1.0]
    """
    return np.maximum(0.0, predict(model.trees, rows))


def predict_mean_loss(model: LossModel, rows: Floats) -> MeanLoss:
    """Return the expected mean loss of these rows (rows × inputs); NaN without rows.

    Chance averages out over the rows, the model's own standard error does not.

    >>> model = fit_loss_model(["x"], np.arange(400.0)[:, None], np.ones(400), in_order=False)
    >>> predict_mean_loss(model, np.zeros((100, 1)))
    MeanLoss(mean=1.0, standard_error=0.0, rows=100)
    """
    n = len(rows)
    if not n:
        return MeanLoss(math.nan, math.nan, 0)
    losses = predict_losses(model, rows)
    chance = _variance(model, losses) / n * design_effect_of(model.design_effects, n)
    standard_error = math.hypot(math.sqrt(chance), mean_loss_uncertainty(model, rows, losses))
    return MeanLoss(float(losses.mean()), standard_error, n)


def mean_loss_uncertainty(model: LossModel, rows: Floats, losses: Floats) -> float:
    """Return the model's own standard error of the mean of the expected `losses` of these rows (rows × inputs).

    The reference is a sample: its mean loss of rows like these is as uncertain as that of its own such rows. Errors of
    single expectations are larger, but they are noise of the trees, which averages out over rows as well.

    >>> model = fit_loss_model(["x"], np.arange(400.0)[:, None], np.ones(400), in_order=False)
    >>> mean_loss_uncertainty(model, np.zeros((2, 1)), np.ones(2))
    0.0
    """
    weighting = weighting_effect(model.support, rows) if model.support is not None else 0.0
    known = min(model.rows, FITTED_ROWS)
    sampled = _variance(model, losses) / known * weighting * design_effect_of(model.design_effects, model.rows)
    return max(uncertainty_of_mean(model.uncertainty, losses), math.sqrt(sampled))


def _variance(model: LossModel, losses: Floats) -> float:
    """Mean over rows of the variance of a loss around its expectation."""
    return model.variation**2 * float((losses**2).mean())


def expected_loss(metric: LossMetric, model: LossModel, rows: Floats, confidence: float) -> Estimate:
    """Estimate the metric of these rows (rows × inputs), with its prediction interval of `confidence`.

    >>> x = np.arange(1000.0)[:, None]
    >>> model = fit_loss_model(["x"], x, np.where(x[:, 0] < 500, 1.0, 9.0), in_order=False)
    >>> mae, rmse = expected_loss("mae", model, x, 0.95), expected_loss("rmse", model, x[500:], 0.95)
    >>> round(mae.value, 2), round(rmse.value, 2)
    (5.0, 3.0)
    """
    mean = predict_mean_loss(model, rows)
    if math.isnan(mean.mean):
        return unknown()
    squared = metric == "rmse"
    value = math.sqrt(mean.mean) if squared else mean.mean
    error = mean.standard_error / (2 * value) if squared and value > 0 else mean.standard_error
    scale: Literal["square", "positive"] = "square" if squared else "positive"
    distribution = SamplingDistribution(mean.mean, mean.standard_error, math.inf, scale)
    return estimated(value, error, mean.rows, distribution, confidence)


def fit_loss_model(inputs: Sequence[str], rows: Floats, losses: Floats, *, in_order: bool) -> LossModel:
    """Fit a model to the `losses` of reference rows (rows × inputs).

    Source: NannyML's DLE, a gradient-boosted model of the loss. The standard error is our own. Raises ValueError for
    fewer than FEWEST_ROWS rows.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(size=(2000, 1))
    >>> model = fit_loss_model(["x"], x, (x[:, 0] * rng.normal(size=2000)) ** 2, in_order=False)
    >>> expected = predict_mean_loss(model, rng.uniform(size=(500, 1)))
    >>> abs(expected.mean - 1 / 3) < 2 * expected.standard_error < 0.2
    True
    """
    if len(losses) < FEWEST_ROWS:
        raise ValueError(f"a loss model needs at least {FEWEST_ROWS} rows, found {len(losses)}")
    if len(losses) > MEASURED_ROWS:  # the newest in order, else a random part
        kept = (
            np.arange(len(losses) - MEASURED_ROWS, len(losses))
            if in_order
            else np.sort(np.random.default_rng(0).permutation(len(losses))[:MEASURED_ROWS])
        )
        rows, losses = rows[kept], losses[kept]

    def fit(fitted: Rows, held: Rows) -> Floats:
        chosen = _evenly(fitted, FITTED_ROWS)
        return np.maximum(0.0, predict(fit_trees(rows[chosen], losses[chosen]), rows[held]))

    expected = cross_fitted(len(losses), fit, in_order=in_order)
    residuals = losses - expected
    squares = float((expected**2).sum())
    variation = math.sqrt(float((residuals**2).sum()) / squares) if squares > 0 else 0.0
    effects = mean_design_effects(residuals) if in_order else {}
    grouped = design_effect_of(effects, len(losses))
    chosen = _evenly(np.arange(len(losses)), FITTED_ROWS)
    return LossModel(
        tuple(inputs),
        fit_trees(rows[chosen], losses[chosen]),
        variation,
        fit_uncertainty(expected, (variation * expected) ** 2 * grouped),
        len(losses),
        effects,
        fit_support(rows),
    )


def _evenly(rows: Rows, most: int) -> Rows:
    """Take at most `most` of the rows, at even distances."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
