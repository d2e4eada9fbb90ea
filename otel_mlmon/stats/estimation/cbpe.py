"""Confidence-based performance estimation (CBPE): expected metrics of a classifier, from calibrated probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.estimation.calibration import probabilities, redrawn
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.estimate import Estimate, estimated, unknown
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.outcomes import Codes
from otel_mlmon.stats.metrics.ranking import area_by_ranks, midranks
from otel_mlmon.values import Floats
from otel_mlmon.values.estimators import Calibration

Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc"]
_Truth = npt.NDArray[np.int64]
_DRAWS: Final = 200
_DRAWN_ROWS: Final = 10_000  # more rows are not drawn: their standard error follows from that of fewer


def expected_confusion(given: Floats, predicted: Codes) -> Floats:
    """Return expected rows by true (line) and predicted class, from probabilities (rows × classes).

    Rows without a predicted class (-1) are left out.

    >>> expected_confusion(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0], np.int32)).tolist()
    [[0.5, 0.25], [0.5, 0.75]]
    """
    classes = given.shape[1]
    return np.stack([given[predicted == code].sum(axis=0) for code in range(classes)], axis=1)


def metric_of_confusion(metric: Metric, counts: Floats, positive: int | None) -> float:
    """Return the metric of rows by true (line) and predicted class, which need not be whole numbers.

    It is that of class `positive`, else the mean over the classes that have one.

    >>> metric_of_confusion("precision", np.array([[8.0, 2.0], [0.0, 8.0]]), 1)
    0.8
    """
    right, true, predicted = np.diagonal(counts), counts.sum(axis=1), counts.sum(axis=0)
    if metric == "accuracy":
        total = float(counts.sum())
        return float(right.sum()) / total if total > 0 else math.nan
    part, whole = {
        "precision": (right, predicted),
        "recall": (right, true),
        "f1": (2 * right, true + predicted),
    }[metric]
    chosen = np.arange(len(counts)) if positive is None else np.array([positive])
    chosen = chosen[whole[chosen] > 0]
    return float((part[chosen] / whole[chosen]).mean()) if len(chosen) else math.nan


def _places(scores: Mapping[int, Floats]) -> dict[int, _Truth]:
    """Return the rank of each score among the distinct scores."""
    return {code: np.unique(column, return_inverse=True)[1] for code, column in scores.items()}


def _area(given: Floats, places: Mapping[int, _Truth]) -> float:
    areas = []
    for code, place in places.items():
        p = given[:, code]
        positives = np.bincount(place, weights=p)
        negatives = np.bincount(place, weights=1 - p)
        below = np.cumsum(negatives) - negatives / 2
        pairs = float(positives.sum() * negatives.sum())
        areas.append(float(positives @ below) / pairs if pairs > 0 else math.nan)
    return _mean(areas)


def _mean(areas: list[float]) -> float:
    """Return the mean over the classes that have an area; NaN for none."""
    known = [area for area in areas if not math.isnan(area)]
    return float(np.mean(known)) if known else math.nan


class _Rows(NamedTuple):
    """Rows with probabilities (rows × classes), predicted classes and scores by class code."""

    given: Floats
    predicted: Codes
    scores: Mapping[int, Floats]

    def take(self, index: npt.NDArray[np.int64]) -> _Rows:
        return _Rows(self.given[index], self.predicted[index], {c: s[index] for c, s in self.scores.items()})


def expected_metric(
    metric: Metric,
    calibration: Calibration,
    scores: Mapping[str, Floats],
    predicted: Codes,
    *,
    positive: int | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Estimate the metric of these rows, with its prediction interval of `confidence`.

    `predicted` are codes into the calibration's classes, -1 for none. Rows without scores are left out, and rows
    without a predicted class too, except for the ROC AUC. NaN when the metric is not defined.

    Source: NannyML's CBPE (Kivimäki et al., Confidence-based Estimators for Predictive Performance in Model
    Monitoring, JAIR 82, 2025). The interval is our own: outcomes are drawn from the probabilities, and probabilities
    from their uncertainty.

    >>> from otel_mlmon.values.estimators import Curve, ModelUncertainty
    >>> calibration = Calibration(("no", "yes"), {"yes": Curve()}, {"yes": ModelUncertainty((), (0.01,))}, 1000)
    >>> e = expected_metric("accuracy", calibration, {"yes": np.full(400, 0.8)}, np.ones(400, np.int32))
    >>> round(e.value, 3), round(e.low, 2), round(e.high, 2)
    (0.8, 0.76, 0.84)
    """
    given = probabilities(calibration, scores)
    usable = ~np.isnan(given).any(axis=1)
    if metric != "roc_auc":
        usable &= predicted >= 0
    by_code = {calibration.classes.index(name): scores[name] for name in calibration.curves}
    rows = _Rows(given, predicted, by_code).take(np.flatnonzero(usable))
    n = len(rows.given)
    value = _expectation(metric, rows, positive)(rows.given) if n else math.nan
    if math.isnan(value):
        return unknown(rows=n)
    rng = np.random.default_rng(seed)
    some = rows if n <= _DRAWN_ROWS else rows.take(np.sort(rng.permutation(n)[:_DRAWN_ROWS]))
    drawn = _draw_outcomes(metric, some, positive, rng)
    share = len(some.given) / n
    chance = _deviation(drawn) * math.sqrt(share * design_effect_of(calibration.design_effects, n))
    expectation = _expectation(metric, some, positive)
    redrawn_values = [expectation(redrawn(calibration, some.given, rng)) for _ in range(_DRAWS)]
    error = math.hypot(chance, _deviation(redrawn_values))
    if math.isnan(error):
        return unknown(value, n)
    return estimated(value, error, n, SamplingDistribution(value, error, math.inf, "share"), confidence)


def _expectation(metric: Metric, rows: _Rows, positive: int | None) -> Callable[[Floats], float]:
    """Return the metric's expectation as a function of the rows' probabilities."""
    if metric == "roc_auc":
        places = _places(rows.scores)
        return lambda given: _area(given, places)
    return lambda given: metric_of_confusion(metric, expected_confusion(given, rows.predicted), positive)


def _draw_outcomes(metric: Metric, rows: _Rows, positive: int | None, rng: np.random.Generator) -> list[float]:
    """Draw outcomes from the probabilities, and return the metric of each draw."""
    classes = rows.given.shape[1]
    steps = np.cumsum(rows.given, axis=1)[:, :-1]
    if metric == "roc_auc":
        ranks = {code: midranks(column) for code, column in rows.scores.items()}

        def of_truth(truth: _Truth) -> float:
            return _mean([area_by_ranks(rank, truth == code) for code, rank in ranks.items()])

    else:

        def of_truth(truth: _Truth) -> float:
            counts = np.bincount(truth * classes + rows.predicted, minlength=classes**2).reshape(classes, classes)
            return metric_of_confusion(metric, counts.astype(np.float64), positive)

    return [of_truth((rng.random((len(rows.given), 1)) > steps).sum(axis=1)) for _ in range(_DRAWS)]


def _deviation(values: list[float]) -> float:
    """Return the standard deviation of the defined values; NaN when fewer than half are defined."""
    known = np.array([value for value in values if not math.isnan(value)])
    return float(known.std(ddof=1)) if 2 * len(known) > len(values) else math.nan
