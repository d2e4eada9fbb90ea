"""Scores as probabilities: calibrated on the reference where calibration improves them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from otel_mlmon.stats.estimation.held_out import (
    Rows,
    cross_fitted,
    fit_uncertainty,
    mean_design_effects,
    uncertainty_groups,
)
from otel_mlmon.stats.metrics.outcomes import Codes, Mask
from otel_mlmon.stats.metrics.ranking import area_by_ranks, midranks
from otel_mlmon.values import Floats
from otel_mlmon.values.estimators import Calibration, Curve

FEWEST_ROWS: Final = 200
_SPLITS: Final = 10
_HELD: Final = 0.1
_BINS: Final = 10
_SEPARATED: Final = 0.999  # area under the curve from which there is nothing to calibrate


def probability(curve: Curve, scores: Floats) -> Floats:
    """Return the curve's probability of each score.

    >>> probability(Curve((0.0, 1.0), (0.2, 0.4)), np.array([0.5, 2.0])).round(3).tolist()
    [0.3, 0.4]
    """
    if not curve.scores:
        return np.clip(scores, 0.0, 1.0)
    probabilities: Floats = np.interp(scores, curve.scores, curve.probabilities)
    return probabilities


def probabilities(calibration: Calibration, scores: Mapping[str, Floats]) -> Floats:
    """Return rows × classes; NaN for a row that lacks a score.

    >>> from otel_mlmon.values.estimators import ModelUncertainty
    >>> calibration = Calibration(("no", "yes"), {"yes": Curve()}, {"yes": ModelUncertainty((), (0.0,))}, 500)
    >>> probabilities(calibration, {"yes": np.array([0.75])}).tolist()
    [[0.25, 0.75]]
    """
    by_class = {name: probability(curve, scores[name]) for name, curve in calibration.curves.items()}
    return _complete(calibration.classes, by_class)


def redrawn(calibration: Calibration, given: Floats, rng: np.random.Generator) -> Floats:
    """Return the `given` probabilities (rows × classes) with a draw of their own uncertainty added.

    >>> from otel_mlmon.values.estimators import ModelUncertainty
    >>> calibration = Calibration(("no", "yes"), {"yes": Curve()}, {"yes": ModelUncertainty((), (0.0,))}, 500)
    >>> redrawn(calibration, np.array([[0.25, 0.75]]), np.random.default_rng(0)).tolist()
    [[0.25, 0.75]]
    """
    drawn = {}
    for name, uncertainty in calibration.uncertainty.items():
        column = given[:, calibration.classes.index(name)]
        errors = np.asarray(uncertainty.errors) * rng.standard_normal(len(uncertainty.errors))
        drawn[name] = np.clip(column + errors[uncertainty_groups(uncertainty, column)], 0.0, 1.0)
    return _complete(calibration.classes, drawn)


def _complete(classes: tuple[str, ...], given: Mapping[str, Floats]) -> Floats:
    """Complete rows to a sum of 1: by the other of two classes, else by dividing; uniform where all are 0."""
    if len(given) == 1:
        ((name, column),) = given.items()
        return np.stack([column if name == other else 1 - column for other in classes], axis=1)
    columns = np.stack([given[name] for name in classes], axis=1)
    total = columns.sum(axis=1, keepdims=True)
    completed: Floats = np.divide(columns, total, out=np.full_like(columns, 1 / len(classes)), where=~(total == 0))
    return completed


def isotonic(scores: Floats, positive: Mask) -> Curve:
    """Return the corners of the increasing curve nearest to the outcomes (least squares).

    Source: Zadrozny and Elkan, KDD 2002; pool adjacent violators as in scipy.optimize.isotonic_regression.

    >>> isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])).probabilities
    (0.0, 0.5, 0.5, 1.0)
    """
    from scipy.optimize import isotonic_regression

    x, place = np.unique(scores, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=positive) / weights
    y = np.clip(isotonic_regression(means, weights=weights).x, 0.0, 1.0)
    corner = np.ones(len(y), np.bool_)
    corner[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    return Curve(tuple(x[corner].tolist()), tuple(y[corner].tolist()))


def cautious(scores: Floats, positive: Mask) -> Curve:
    """Return the isotonic curve of these rows and two more: a positive at the lowest score, a negative at the highest.

    The plain curve is 0 below the lowest positive and 1 above the highest negative, even with few rows there. For a
    model that is nearly always right, these few rows are most of the errors to come. With the two rows, n rows without
    a positive have probability 1 / (n + 1): the rule of succession, with one row added instead of two.

    >>> cautious(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True])).probabilities
    (0.3333333333333333, 0.3333333333333333, 0.6666666666666666, 0.6666666666666666)
    """
    ends = np.array([scores.min(), scores.max()])
    return isotonic(np.append(scores, ends), np.append(positive, [True, False]))


def needs_calibration(scores: Floats, positive: Mask) -> bool:
    """Return whether an isotonic curve, fitted to nine tenths, calibrates scores of the other tenth better.

    Source: NannyML's `needs_calibration`: the expected calibration error over ten stratified splits together.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=3000)
    >>> happens = rng.uniform(size=3000) < p
    >>> needs_calibration(p**3, happens), needs_calibration(p, np.ones(3000, bool))
    (True, False)
    """
    if positive.all() or not positive.any() or area_by_ranks(midranks(scores), positive) > _SEPARATED:
        return False
    rng = np.random.default_rng(42)
    parts = []
    for _ in range(_SPLITS):
        held = np.zeros(len(scores), np.bool_)
        for of_class in (np.flatnonzero(positive), np.flatnonzero(~positive)):
            held[rng.permutation(of_class)[: max(1, round(_HELD * len(of_class)))]] = True
        if positive[~held].all() or not positive[~held].any():
            return False
        curve = isotonic(scores[~held], positive[~held])
        parts.append(np.stack([scores[held], probability(curve, scores[held]), positive[held]]))
    before, after, outcome = np.concatenate(parts, axis=1)
    return _calibration_error(before, outcome) > _calibration_error(after, outcome)


def _calibration_error(given: Floats, outcomes: Floats) -> float:
    """Return the expected calibration error over ten bins of equally many rows (Naeini et al., AAAI 2015)."""
    order = np.argsort(given, kind="stable")
    bins = np.array_split(order, _BINS)
    off = [len(rows) * abs(given[rows].mean() - outcomes[rows].mean()) for rows in bins if len(rows)]
    return float(sum(off)) / len(order)


def fit_calibration(
    classes: tuple[str, ...], scores: Mapping[str, Floats], truth: Codes, *, in_order: bool
) -> Calibration:
    """Fit to reference rows with all scores and a known true class (a code into `classes`).

    One against the rest, each class by itself, as in NannyML (but see `cautious`). Raises ValueError for fewer than
    FEWEST_ROWS rows.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=3000)
    >>> truth = (rng.uniform(size=3000) < p).astype(np.int32)
    >>> calibration = fit_calibration(("no", "yes"), {"yes": p**3}, truth, in_order=False)
    >>> probabilities(calibration, {"yes": np.array([0.5**3])}).round(1).tolist()
    [[0.5, 0.5]]
    """
    if len(truth) < FEWEST_ROWS:
        raise ValueError(f"a calibration needs at least {FEWEST_ROWS} rows, found {len(truth)}")
    if len(classes) == 2 and len(scores) == 2:
        scores = {classes[1]: scores[classes[1]]}
    curves: dict[str, Curve] = {}
    held: dict[str, Floats] = {}
    for name, column in scores.items():
        positive: Mask = truth == classes.index(name)
        needed = needs_calibration(column, positive)
        curves[name] = cautious(column, positive) if needed else Curve()

        def fit(
            fitted: Rows, rows: Rows, column: Floats = column, positive: Mask = positive, needed: bool = needed
        ) -> Floats:
            return probability(cautious(column[fitted], positive[fitted]) if needed else Curve(), column[rows])

        held[name] = cross_fitted(len(truth), fit, in_order=in_order)
    expected = _complete(classes, held)
    surprise = 1 - expected[np.arange(len(truth)), truth]
    effects = mean_design_effects(surprise - surprise.mean()) if in_order else {}
    grouped = max(effects.values(), default=1.0)
    uncertainty = {}
    for name in scores:
        p = expected[:, classes.index(name)]
        uncertainty[name] = fit_uncertainty(p, p * (1 - p) * grouped, (truth == classes.index(name)) - p)
    return Calibration(classes, curves, uncertainty, len(truth), effects)
