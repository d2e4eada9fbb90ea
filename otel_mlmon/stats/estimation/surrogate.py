"""Surrogate model: predicts the monitored model's predictions, to notice when it has become another model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.estimation.dle import fit_loss_model
from otel_mlmon.stats.estimation.held_out import Rows, cross_fitted
from otel_mlmon.stats.estimation.trees import SMALLEST_LEAF, fit_trees, predict
from otel_mlmon.stats.metrics.outcomes import losses_of
from otel_mlmon.values import Floats
from otel_mlmon.values.estimators import ExcessLoss, Loss, SurrogateModel

MOST_CLASSES: Final = 5  # each but the first costs as much as a model of numbers


def surrogate_predictions(model: SurrogateModel, rows: Floats) -> Floats:
    """Return the surrogate's prediction for each row (rows × inputs): a number, or a code into the model's classes.

    >>> x = np.arange(400.0)[:, None]
    >>> model = fit_surrogate(["x"], x, x[:, 0] // 200, ["a", "b"], lambda _: {}, in_order=False)
    >>> surrogate_predictions(model, np.array([[5.0], [395.0]])).tolist()
    [0.0, 1.0]
    """
    return _decided([predict(trees, rows) for trees in model.trees], bool(model.classes))


def in_support(model: SurrogateModel, rows: Floats) -> npt.NDArray[np.bool_]:
    """Return which rows lie inside the ranges that the surrogate was fitted on; it is meaningless elsewhere.

    >>> x = np.arange(400.0)[:, None]
    >>> model = fit_surrogate(["x"], x, x[:, 0], [], lambda _: {}, in_order=False)
    >>> in_support(model, np.array([[5.0], [400.0], [np.nan]])).tolist()
    [True, False, False]
    """
    with np.errstate(invalid="ignore"):
        inside = (rows >= np.array(model.low)) & (rows <= np.array(model.high))
    supported: npt.NDArray[np.bool_] = (inside | (np.isnan(rows) & np.array(model.missing))).all(axis=1)
    return supported


def fit_surrogate(
    inputs: Sequence[str],
    rows: Floats,
    predictions: Floats,
    classes: Sequence[str],
    losses: Callable[[Floats], Mapping[Loss, Floats]],
    *,
    in_order: bool,
) -> SurrogateModel:
    """Fit a surrogate to the model's `predictions` for reference rows (rows × inputs).

    `predictions` are numbers or codes into `classes`. `losses` returns the losses of all rows for
    other predictions than the model's.

    >>> x = np.random.default_rng(0).uniform(size=(2000, 1))
    >>> price = 10 * x[:, 0]
    >>> squared = lambda predicted: {"squared_error": (predicted - price - 1) ** 2}
    >>> model = fit_surrogate(["x"], x, price, (), squared, in_order=False)
    >>> surrogate_predictions(model, np.array([[0.5]])).round(1).tolist()
    [5.0]
    """
    if classes:
        targets = [(predictions == code).astype(np.float64) for code in range(1, len(classes))]
    else:
        targets = [predictions]

    def held_out(target: Floats) -> Floats:
        def fit(fitted: Rows, held: Rows) -> Floats:
            return predict(fit_trees(rows[fitted], target[fitted]), rows[held])

        return cross_fitted(len(rows), fit, in_order=in_order)

    surrogate = _decided([held_out(target) for target in targets], bool(classes))
    of_model, of_surrogate = losses(predictions), losses(surrogate)
    excess = {loss: of_model[loss] - of_surrogate[loss] for loss in of_model}
    missing = np.isnan(rows)
    none = missing.all(axis=0)  # an empty range has no inside
    return SurrogateModel(
        tuple(inputs),
        tuple(classes),
        tuple(fit_trees(rows, target) for target in targets),
        fit_loss_model(inputs, rows, distance(predictions, surrogate, bool(classes)), in_order=in_order),
        {
            loss: ExcessLoss(float(each.mean()), float(each.std(ddof=1)) / math.sqrt(len(rows)))
            for loss, each in excess.items()
        },
        tuple(np.where(none, 1.0, np.where(missing, np.inf, rows).min(axis=0)).tolist()),
        tuple(np.where(none, -1.0, np.where(missing, -np.inf, rows).max(axis=0)).tolist()),
        tuple((missing.sum(axis=0) >= SMALLEST_LEAF).tolist()),
    )


def distance(predictions: npt.NDArray[Any], surrogate: npt.NDArray[Any], classes: bool) -> Floats:
    """Return the distance of each prediction from the surrogate's: squared, or 1 for another class.

    >>> distance(np.array([1.0, 3.0]), np.array([1.0, 5.0]), False).tolist()
    [0.0, 4.0]
    """
    return losses_of("zero_one" if classes else "squared_error", surrogate, predictions)


def _decided(outputs: Sequence[Floats], classes: bool) -> Floats:
    """Return the number, or the code of the most probable class."""
    if not classes:
        return outputs[0]
    probabilities = np.stack([1 - np.sum(outputs, axis=0), *outputs])
    codes: Floats = probabilities.argmax(axis=0).astype(np.float64)
    return codes
