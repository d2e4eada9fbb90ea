"""Metrics from sums against scikit-learn on the rows that the sums were taken of."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from otel_mlmon.stats.metrics.classification import f1, precision, recall
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import PerformanceCounts

NUMBERS = st.lists(st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), min_size=3, max_size=60)
CLASSES = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=60)


def sums(truth: np.ndarray, prediction: np.ndarray) -> PerformanceCounts:
    error, known = prediction - truth, truth != 0
    return PerformanceCounts(
        numeric=len(truth),
        sum_error=error.sum(),
        sum_abs_error=np.abs(error).sum(),
        sum_squared_error=(error**2).sum(),
        sum_truth=truth.sum(),
        sum_squared_truth=(truth**2).sum(),
        sum_abs_relative_error=np.abs(error[known] / truth[known]).sum(),
        relative_rows=int(known.sum()),
    )


def value(name: str, counts: PerformanceCounts, positive: str | None = None) -> float:
    return METRICS[name].value(counts, positive)


@settings(deadline=None)
@given(NUMBERS)
def test_regression_metrics_are_scikit_learns(pairs: list[tuple[float, float]]) -> None:
    truth, prediction = np.array(pairs).T.round(2)
    counts = sums(truth, prediction)
    assert value("rmse", counts) == pytest.approx(metrics.root_mean_squared_error(truth, prediction), rel=1e-9)
    assert value("mae", counts) == pytest.approx(metrics.mean_absolute_error(truth, prediction), rel=1e-9)
    assert value("bias", counts) == pytest.approx(abs((prediction - truth).mean()), rel=1e-9, abs=1e-9)
    if (truth != 0).all():
        expected = metrics.mean_absolute_percentage_error(truth, prediction)
        assert value("mape", counts) == pytest.approx(expected, rel=1e-9)
    if truth.std() > 1:
        assert value("r2", counts) == pytest.approx(metrics.r2_score(truth, prediction), rel=1e-6, abs=1e-9)


@settings(deadline=None)
@given(CLASSES)
def test_classification_metrics_are_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    truth, prediction = zip(*pairs, strict=True)
    counts = PerformanceCounts(confusion=Counter(pairs))
    assert value("accuracy", counts) == pytest.approx(metrics.accuracy_score(truth, prediction), abs=1e-9)
    known = sorted({*truth, *prediction})
    for positive in (None, *known):
        expected = metrics.precision_recall_fscore_support(
            truth,
            prediction,
            labels=known if positive is None else [positive],
            average="macro",
            zero_division=np.nan,
        )
        found = [value(name, counts, positive) for name in ("precision", "recall", "f1")]
        assert found == pytest.approx(expected[:3], abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_no_value_and_no_p_value(name: str) -> None:
    for positive in (None, "yes"):
        assert math.isnan(value(name, PerformanceCounts(), positive))
        assert math.isnan(METRICS[name].worse(PerformanceCounts(), 0.5, positive))


def test_truth_that_does_not_vary_has_no_r2() -> None:
    truth = np.full(1000, 0.1)
    assert math.isnan(value("r2", sums(truth, truth + 0.1)))


def test_a_class_that_does_not_occur_has_no_metrics() -> None:
    confusion = {("a", "a"): 5, ("a", "b"): 1}
    assert all(math.isnan(metric(confusion, "absent")) for metric in (precision, recall, f1))
    assert math.isnan(recall(confusion, "b"))  # predicted, never true
    assert precision(confusion, "b") == 0


def test_negative_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="found -1 for truth 'a', prediction 'b'"):
        f1({("a", "b"): -1})
