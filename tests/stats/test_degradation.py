"""P-values of "worse than": against SciPy, against a bootstrap of the rows, and their promise about false alarms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from otel_mlmon.stats.metrics.classification import class_worse
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import PerformanceCounts

Draw = Callable[[np.random.Generator, int], np.ndarray]
ERRORS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "laplace": lambda rng, n: rng.laplace(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(5, size=n),
    "off by five": lambda rng, n: 5 + rng.normal(size=n),
    "spread that varies": lambda rng, n: rng.normal(size=n) * rng.lognormal(0, 0.5, size=n),
}


def sums(error: np.ndarray, truth: np.ndarray) -> PerformanceCounts:
    return PerformanceCounts(
        numeric=len(error),
        sum_error=error.sum(),
        sum_abs_error=np.abs(error).sum(),
        sum_squared_error=(error**2).sum(),
        sum_fourth_error=(error**4).sum(),
        sum_truth=truth.sum(),
        sum_squared_truth=(truth**2).sum(),
        sum_abs_truth=np.abs(truth).sum(),
        sum_abs_relative_error=np.abs(error / truth).sum(),
        relative_rows=len(error),
    )


def prices(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.lognormal(0, 0.5, size=n)


def test_p_values_of_mean_errors_are_scipys_t_tests_on_the_rows() -> None:
    rng = np.random.default_rng(1)
    error = rng.laplace(0.2, size=300)
    counts = sums(error, prices(rng, 300))
    absolute = ttest_1samp(np.abs(error), 0.9, alternative="greater").pvalue
    squared = ttest_1samp(error**2, 1.3**2, alternative="greater").pvalue
    assert METRICS["mae"].worse(counts, 0.9, None) == pytest.approx(absolute, rel=1e-9)
    assert METRICS["rmse"].worse(counts, 1.3, None) == pytest.approx(squared, rel=1e-9)
    assert METRICS["bias"].worse(counts, 0.0, None) == pytest.approx(ttest_1samp(error, 0.0).pvalue, rel=1e-9)


@pytest.mark.parametrize("name", ["rmse", "mae", "mape", "wape", "r2"])
@pytest.mark.parametrize("errors", sorted(ERRORS))
def test_p_value_from_sums_is_not_surer_than_a_bootstrap_of_the_rows(name: str, errors: str) -> None:
    rng = np.random.default_rng(2)
    function, better = METRICS[name].value, METRICS[name].better
    error, truth = ERRORS[errors](rng, 1000), prices(rng, 1000)
    picks = rng.integers(0, 1000, size=(2000, 1000))
    resampled = np.array([function(sums(error[pick], truth[pick]), None) for pick in picks])
    tail = 95 if better == "higher" else 5  # the limit that the bootstrap puts at p = 0.05
    p_value = METRICS[name].worse(sums(error, truth), float(np.percentile(resampled, tail)), None)
    assert 0.03 < p_value < 0.35


@pytest.mark.parametrize("name", ["rmse", "mae", "bias", "mape", "wape", "r2"])
@pytest.mark.parametrize("errors", sorted(ERRORS))
def test_a_regression_as_good_as_ever_seldom_seems_worse(name: str, errors: str) -> None:
    rng = np.random.default_rng(3)
    limit = METRICS[name].value(sums(ERRORS[errors](rng, 1_000_000), prices(rng, 1_000_000)), None)
    windows = (sums(ERRORS[errors](rng, 300), prices(rng, 300)) for _ in range(1000))
    p_values = np.array([METRICS[name].worse(window, limit, None) for window in windows])
    assert (p_values < 0.01).mean() <= 0.02


@pytest.mark.parametrize("name", ["rmse", "mae", "mape", "wape", "r2"])
def test_errors_half_as_large_again_are_found_in_500_rows(name: str) -> None:
    rng = np.random.default_rng(4)
    limit = METRICS[name].value(sums(rng.laplace(size=1_000_000), prices(rng, 1_000_000)), None)
    windows = [sums(1.5 * rng.laplace(size=500), prices(rng, 500)) for _ in range(100)]
    assert np.mean([METRICS[name].worse(window, limit, None) < 0.01 for window in windows]) > 0.9


def test_rmse_without_the_sum_of_fourth_powers_has_no_p_value() -> None:
    assert math.isnan(
        METRICS["rmse"].worse(PerformanceCounts(numeric=100, sum_abs_error=90, sum_squared_error=100), 0.5, None)
    )


@pytest.mark.parametrize("name", ["rmse", "mae", "bias", "mape", "wape", "r2"])
def test_one_row_is_no_evidence(name: str) -> None:
    assert math.isnan(METRICS[name].worse(sums(np.array([9.0]), np.array([1.0])), 0.1, None))


def test_a_perfect_window_is_not_worse_than_anything() -> None:
    counts = sums(np.zeros(50), np.arange(1.0, 51.0))
    for name in ("rmse", "mae", "bias", "mape", "wape"):
        assert METRICS[name].worse(counts, 0.0, None) == 1, name
    assert METRICS["r2"].worse(counts, 1.0, None) == 1


def test_metrics_of_one_class_are_judged_by_the_exact_binomial_test() -> None:
    confusion = {("yes", "yes"): 70, ("yes", "no"): 20, ("no", "yes"): 10, ("no", "no"): 100}

    def exact(misses: int, rows: int, limit: float) -> float:
        return float(binomtest(misses, rows, 1 - limit, alternative="greater").pvalue)

    assert class_worse("accuracy", confusion, 0.9, None) == pytest.approx(exact(30, 200, 0.9), rel=1e-9)
    assert class_worse("precision", confusion, 0.9, "yes") == pytest.approx(exact(10, 80, 0.9), rel=1e-9)
    assert class_worse("recall", confusion, 0.9, "yes") == pytest.approx(exact(20, 90, 0.9), rel=1e-9)
    assert class_worse("f1", confusion, 0.9, "yes") == pytest.approx(exact(30, 100, 0.9 / 1.1), rel=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "precision", "recall", "f1"])
@pytest.mark.parametrize(("classes", "rows"), [(2, 50), (3, 1000), (10, 300)])
def test_a_classifier_as_good_as_ever_seldom_seems_worse_and_a_bad_one_does(name: str, classes: int, rows: int) -> None:
    rng = np.random.default_rng(classes)
    share = 1 / np.arange(1, classes + 1)

    def joint(right: float) -> np.ndarray:
        answers = np.full((classes, classes), (1 - right) / (classes - 1))
        np.fill_diagonal(answers, right)
        return (share / share.sum())[:, None] * answers

    def counts(table: np.ndarray) -> PerformanceCounts:
        return PerformanceCounts(confusion={(str(i), str(j)): int(n) for (i, j), n in np.ndenumerate(table) if n})

    def p_values(right: float, windows: int) -> np.ndarray:
        draws = rng.multinomial(rows, joint(right).ravel(), size=windows).reshape(-1, classes, classes)
        return np.array([METRICS[name].worse(counts(draw), limit, None) for draw in draws])

    limit = METRICS[name].value(counts(joint(0.9) * 1e9), None)
    assert (p_values(0.9, 500) < 0.01).mean() <= 0.02
    assert (p_values(0.6, 50) < 0.01).mean() > 0.8


def test_a_limit_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limit must be between 0 and 1, found 1\.1"):
        class_worse("accuracy", {("a", "a"): 1}, 1.1, None)
    with pytest.raises(ValueError, match="limit must be between 0 and 1, found -1"):
        class_worse("f1", {("a", "a"): 1}, -1, None)
