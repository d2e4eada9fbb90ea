"""Confidence-based performance estimation: metrics of a classifier that are to be expected, given calibrated probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.estimation.calibration import Calibration
from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.stats.inference.estimate import Estimate, Law, estimated, unknown
from otel_mlmon.stats.metrics.outcomes import Codes
from otel_mlmon.stats.metrics.ranking import midranks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_mlmon.values import Floats

Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc"]
_DRAWS: Final = 200
_DRAWN_ROWS: Final = 10_000  # more rows are not drawn: the spread of their mean follows from that of fewer


def confusion(probabilities: Floats, predicted: Codes) -> Floats:
    """Expected rows by true (line) and predicted class, rows without a predicted class left out.

    >>> confusion(np.array([[0.25, 0.75], [0.5, 0.5]]), np.array([1, 0], np.int32)).tolist()
    [[0.5, 0.25], [0.5, 0.75]]
    """
    classes = probabilities.shape[1]
    return np.stack([probabilities[predicted == code].sum(axis=0) for code in range(classes)], axis=1)


def of_confusion(metric: Metric, counts: Floats, positive: int | None) -> float:
    """The metric of rows by true (line) and predicted class; of class `positive`, else the mean over classes that have one.

    As the functions of `stats.performance` have it, of numbers of rows that need not be whole.

    >>> of_confusion("precision", np.array([[8.0, 2.0], [0.0, 8.0]]), 1)
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


def area(probabilities: Floats, scores: Mapping[int, Floats]) -> float:
    """Expected area under the receiver operating characteristic: mean over the classes (codes) that have scores.

    Expected rows above each row's score, ties by half; of two classes either one has the same.

    >>> area(np.array([[0.9, 0.1], [0.2, 0.8]]), {1: np.array([0.3, 0.6])}).__round__(3)
    0.854
    """
    return _area(probabilities, _places(scores))


def _places(scores: Mapping[int, Floats]) -> dict[int, npt.NDArray[np.int64]]:
    """The place of each score among the different ones, in order."""
    return {code: np.unique(column, return_inverse=True)[1] for code, column in scores.items()}


def _area(probabilities: Floats, places: Mapping[int, npt.NDArray[np.int64]]) -> float:
    found = []
    for code, place in places.items():
        p = probabilities[:, code]
        positives = np.bincount(place, weights=p)
        negatives = np.bincount(place, weights=1 - p)
        below = np.cumsum(negatives) - negatives / 2
        pairs = float(positives.sum() * negatives.sum())
        if pairs > 0:
            found.append(float(positives @ below) / pairs)
    return float(np.mean(found)) if found else math.nan


def expected_metric(
    metric: Metric,
    made: Calibration,
    scores: Mapping[str, Floats],
    predicted: Codes,
    *,
    positive: int | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """What the metric of these rows is to be expected to turn out as, and where with `confidence` it will.

    `predicted` are codes into the calibration's classes, -1 where there is none; rows without one, or without scores, are left
    out (those without one count for the area). NaN where the metric is not defined.

    Source: NannyML's CBPE (Kivimäki et al., Confidence-based Estimators for Predictive Performance in Model Monitoring, JAIR 82,
    2025). The interval is ours: outcomes drawn from the probabilities, and probabilities from their own error.

    >>> from otel_mlmon.stats.estimation.held_out import OwnError
    >>> made = Calibration(("no", "yes"), {"yes": __import__("otel_mlmon.stats.estimation.calibration",
    ...     fromlist=["Curve"]).Curve()}, {"yes": OwnError((), (0.01,))}, 1000)
    >>> e = expected_metric("accuracy", made, {"yes": np.full(400, 0.8)}, np.ones(400, np.int32))
    >>> round(e.value, 3), round(e.low, 2), round(e.high, 2)
    (0.8, 0.76, 0.84)
    """
    p = made.probabilities(scores)
    usable = ~np.isnan(p).any(axis=1)
    if metric != "roc_auc":
        usable &= predicted >= 0
    rows = np.flatnonzero(usable)
    p, predicted = p[rows], predicted[rows]
    of_class = {made.classes.index(name): scores[name][rows] for name in made.curves}
    n = len(rows)

    def metric_of(some: npt.NDArray[np.int64]) -> Callable[[Floats], float]:
        if metric == "roc_auc":
            places = _places({code: column[some] for code, column in of_class.items()})
            return lambda expected: _area(expected, places)
        return lambda expected: of_confusion(metric, confusion(expected, predicted[some]), positive)

    everything = np.arange(n)
    found = metric_of(everything)(p) if n else math.nan
    if math.isnan(found):
        return unknown(rows=n)
    rng = np.random.default_rng(seed)
    some = everything if n <= _DRAWN_ROWS else np.sort(rng.permutation(n)[:_DRAWN_ROWS])
    drawn = _drawn(metric, p[some], predicted[some], {c: s[some] for c, s in of_class.items()}, positive, rng)
    chance = _spread(drawn) * math.sqrt(len(some) / n * design_effect_of(made.design_effects, n))
    value = metric_of(some)
    shifted = [value(made.shifted(p[some], rng)) for _ in range(_DRAWS)]
    error = math.hypot(chance, _spread(shifted))
    if math.isnan(error):
        return unknown(found, n)
    return estimated(found, error, n, Law(found, error, math.inf, "share"), confidence)


def _drawn(
    metric: Metric,
    p: Floats,
    predicted: Codes,
    scores: Mapping[int, Floats],
    positive: int | None,
    rng: np.random.Generator,
) -> list[float]:
    """The metric of outcomes that are drawn from the probabilities."""
    classes = p.shape[1]
    steps = np.cumsum(p, axis=1)[:, :-1]
    of_truth = _areas(scores, classes) if metric == "roc_auc" else _confusions(metric, predicted, classes, positive)
    return [of_truth((rng.random((len(p), 1)) > steps).sum(axis=1)) for _ in range(_DRAWS)]


def _confusions(
    metric: Metric, predicted: Codes, classes: int, positive: int | None
) -> Callable[[npt.NDArray[np.int64]], float]:
    def of_truth(truth: npt.NDArray[np.int64]) -> float:
        counts = np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)
        return of_confusion(metric, counts.astype(np.float64), positive)

    return of_truth


def _areas(scores: Mapping[int, Floats], classes: int) -> Callable[[npt.NDArray[np.int64]], float]:
    ranks = {code: midranks(column) for code, column in scores.items()}

    def of_truth(truth: npt.NDArray[np.int64]) -> float:
        counts = np.bincount(truth, minlength=classes)
        found = []
        for code, rank in ranks.items():
            m, n = int(counts[code]), len(truth) - int(counts[code])
            if m and n:
                found.append((float(rank[truth == code].sum()) - m * (m + 1) / 2) / (m * n))
        return float(np.mean(found)) if found else math.nan

    return of_truth


def _spread(values: list[float]) -> float:
    """Standard deviation of those that are defined; NaN when fewer than half are."""
    known = np.array([value for value in values if not math.isnan(value)])
    return float(known.std(ddof=1)) if 2 * len(known) > len(values) else math.nan
