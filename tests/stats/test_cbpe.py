"""Calibrated scores, and the metrics estimated from them."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score
from stats.estimates import CLASSES, THREE, block_of, classification, loans, reference_of, three

from otel_mlmon.reference.table import Columns
from otel_mlmon.stats.estimation.calibration import (
    cautious,
    fit_calibration,
    isotonic,
    needs_calibration,
    probabilities,
    probability,
)
from otel_mlmon.stats.estimation.cbpe import (
    Metric,
    _area,
    _places,
    expected_confusion,
    expected_metric,
    metric_of_confusion,
)
from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS
from otel_mlmon.values import Floats, PerformanceCounts, Reference
from otel_mlmon.values.estimators import Calibration, Curve, ModelUncertainty
from otel_mlmon.window.outcome_rows import outcomes

ESTIMATED: tuple[Metric, ...] = get_args(Metric)


@functools.cache
def _reference(kind: str) -> Reference:
    return reference_of(loans(0, 6000), CLASSES) if kind == "two" else reference_of(three(0, 6000), THREE)


def _calibration(reference: Reference) -> Calibration:
    assert reference.estimators is not None
    assert reference.estimators.calibration is not None
    return reference.estimators.calibration


def _both(made: Calibration, frame: pd.DataFrame, columns: Columns, metric: Metric) -> tuple[Estimate, float]:
    """Return the estimated and the realised metric of the rows."""
    block = block_of(frame, columns)
    found = outcomes(block, np.arange(len(block)))
    place = np.array([made.classes.index(name) for name in found.classes], np.int32)
    predicted, true = place[found.predicted_class], place[found.true_class]
    expected = expected_metric(metric, made, found.scores, predicted)
    if metric == "roc_auc":
        return expected, ROW_METRICS["roc_auc"].estimate(found, MetricOptions(), 0.95).value
    return expected, metric_of_confusion(metric, expected_confusion(np.eye(len(made.classes))[true], predicted), None)


@pytest.mark.parametrize("metric", ESTIMATED)
@pytest.mark.parametrize(("kind", "columns"), [("two", CLASSES), ("three", THREE)])
def test_of_many_rows_the_expected_metric_is_the_realised_one(kind: str, columns: Columns, metric: Metric) -> None:
    frame = loans(1, 40_000, centre=1.0) if kind == "two" else three(1, 40_000)
    expected, found = _both(_calibration(_reference(kind)), frame, columns, metric)
    assert expected.value == pytest.approx(found, abs=0.015)
    assert expected.low < found < expected.high


@pytest.mark.parametrize("metric", ESTIMATED)
@pytest.mark.parametrize(("kind", "columns"), [("two", CLASSES), ("three", THREE)])
def test_the_realised_metric_is_within_its_band_nineteen_times_of_twenty(
    kind: str, columns: Columns, metric: Metric
) -> None:
    made = _calibration(_reference(kind))
    inside = []
    for seed in range(100, 250):
        expected, found = _both(made, loans(seed, 300) if kind == "two" else three(seed, 300), columns, metric)
        inside.append(expected.low <= found <= expected.high)
    assert 0.9 <= np.mean(inside) < 1


@pytest.mark.parametrize("name", ["california_housing", "bike_sharing_hourly"])
def test_on_real_data_the_bands_hold_what_came_of_held_out_rows(name: str) -> None:
    normal, later = classification(name)
    made = _calibration(reference_of(normal, CLASSES))
    for metric in ESTIMATED:
        inside = []
        for start in range(0, len(later) - 199, 200):
            expected, found = _both(made, later[start : start + 200], CLASSES, metric)
            inside.append(expected.low <= found <= expected.high)
        assert np.mean(inside) > 0.85, metric


def test_more_certain_answers_are_expected_to_be_right_more_often() -> None:
    made = _calibration(_reference("two"))
    usual, _ = _both(made, loans(2, 5000), CLASSES, "accuracy")
    certain, _ = _both(made, loans(2, 5000, centre=3.0), CLASSES, "accuracy")
    assert certain.low > usual.high


def test_scores_that_need_it_are_calibrated_and_others_are_left_alone() -> None:
    made = _calibration(_reference("two"))
    p = np.linspace(0.1, 0.9, 9)
    assert probabilities(made, {"yes": p**2})[:, 1] == pytest.approx(p, abs=0.06)
    assert made.classes == ("no", "yes")
    assert list(made.curves) == ["yes"]
    raw = fit_calibration(
        ("a", "b"), {"b": np.tile([0.1, 0.9], 500)}, np.tile([0, 1], 500).astype(np.int32), in_order=False
    )
    assert raw.curves["b"] == Curve()  # separates perfectly: nothing to calibrate by
    with pytest.raises(ValueError, match="at least 200 rows, found 3"):
        fit_calibration(("a", "b"), {"b": np.zeros(3)}, np.zeros(3, np.int32), in_order=False)


def test_the_curve_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=2000).round(2)
    positive = rng.random(2000) < scores**2
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, positive)
    x = np.linspace(-0.5, 1.5, 400)
    assert probability(isotonic(scores, positive), x) == pytest.approx(theirs.predict(x), abs=1e-12)
    assert not needs_calibration(scores, np.zeros(2000, np.bool_))


def test_the_area_of_nearly_perfect_scores_is_not_taken_for_larger_than_it_is() -> None:
    """A reference this small has no positive with the lowest score; windows will have some."""

    def drawn(seed: int, n: int) -> tuple[Floats, Mask]:
        rng = np.random.default_rng(seed)
        p = 1 / (1 + np.exp(-rng.normal(0, 4, n)))
        return p**1.5, rng.random(n) < p

    scores, positive = drawn(0, 40_000)
    realised = roc_auc_score(positive, scores)
    assert realised > 0.94

    def off(calibrated: Callable[[Floats, Mask], Curve]) -> float:
        found = [probability(calibrated(*drawn(seed, 500)), scores) for seed in range(1, 31)]
        return float(np.mean([_area(np.stack([1 - p, p], axis=1), _places({1: scores})) - realised for p in found]))

    assert off(isotonic) > 0.004
    assert abs(off(cautious)) < 0.002


def test_the_area_is_that_of_scikit_learn_with_probabilities_as_weights() -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=500).round(2)
    p = rng.uniform(size=500)
    theirs = roc_auc_score(np.repeat([1, 0], 500), np.tile(scores, 2), sample_weight=np.concatenate([p, 1 - p]))
    assert _area(np.stack([1 - p, p], axis=1), _places({1: scores})) == pytest.approx(theirs, abs=1e-12)
    assert math.isnan(_area(np.tile([0.0, 1.0], (5, 1)), _places({1: scores[:5]})))


@pytest.mark.parametrize("positive", [None, 0, 2])
@pytest.mark.parametrize("metric", [metric for metric in ESTIMATED if metric != "roc_auc"])
def test_metrics_of_expected_rows_are_defined_as_those_of_real_ones(metric: Metric, positive: int | None) -> None:
    rng = np.random.default_rng(0)
    names = "abc"
    for _ in range(20):
        counts = rng.integers(0, 4, (3, 3)) * rng.integers(0, 2, (3, 1)) * rng.integers(0, 2, (1, 3))
        pairs = {(names[t], names[p]): int(counts[t, p]) for t, p in itertools.product(range(3), range(3))}
        name = None if positive is None else names[positive]
        theirs = METRICS[metric].value(PerformanceCounts(confusion=pairs), name)
        assert metric_of_confusion(metric, counts.astype(float), positive) == pytest.approx(theirs, nan_ok=True)


def test_rows_without_score_or_class_are_left_out_and_none_are_no_estimate() -> None:
    made = Calibration(("no", "yes"), {"yes": Curve()}, {"yes": ModelUncertainty((), (0.0,))}, 500)
    scores = {"yes": np.array([0.9, np.nan, 0.8, 0.7])}
    predicted = np.array([1, 1, -1, 1], np.int32)
    found = expected_metric("accuracy", made, scores, predicted)
    assert (found.value, found.rows) == (pytest.approx(0.8), 2)
    assert expected_metric("roc_auc", made, scores, predicted).rows == 3
    nothing = expected_metric("accuracy", made, {"yes": np.full(4, np.nan)}, predicted)
    assert math.isnan(nothing.value)
    assert nothing.rows == 0
    never = expected_metric("precision", made, {"yes": np.full(4, 0.5)}, np.zeros(4, np.int32), positive=1)
    assert math.isnan(never.value)


def test_the_same_rows_have_the_same_estimate_every_time() -> None:
    made = _calibration(_reference("three"))
    first, second = (_both(made, three(5, 500), THREE, "f1")[0] for _ in range(2))
    assert first == second
