"""Champion against challenger on the same rows: equal to known tests, and few alarms for equal models."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_rel
from sklearn import metrics

from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes
from otel_mlmon.stats.metrics.paired import paired_worse
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS

Pair = tuple[Outcomes, Outcomes]
DRAWS = 400


def prices(rng: np.random.Generator, rows: int, extra: float) -> Pair:
    """Two models that share most of their errors."""
    truth = rng.lognormal(0, 0.5, rows)
    common = truth * (1 + 0.3 * rng.normal(size=rows))
    one, two = (common + spread * rng.laplace(size=rows) for spread in (0.2, 0.2 + extra))
    return Outcomes(truth, one), Outcomes(truth, two)


def classes(rng: np.random.Generator, rows: int, extra: float) -> Pair:
    known = rng.normal(size=rows)
    truth, nothing = (known + rng.normal(size=rows) > 0.8).astype(np.int32), np.full(rows, np.nan)

    def model(spread: float) -> Outcomes:
        score = 1 / (1 + np.exp(1.2 - 1.4 * (known + spread * rng.normal(size=rows))))
        return Outcomes(nothing, nothing, ("no", "yes"), truth, (score > 0.4).astype(np.int32), {"yes": score})

    return model(0.5), model(0.5 + extra)


def rankings(rng: np.random.Generator, rows: int, extra: float) -> Pair:
    truth, query = np.maximum(0, np.round(rng.normal(0.5, 1, rows))), np.arange(rows, dtype=np.int32) // 8
    return (
        Outcomes(truth, truth + rng.normal(size=rows), query=query),
        Outcomes(truth, truth + (1 + extra) * rng.normal(size=rows), query=query),
    )


Maker = Callable[[np.random.Generator, int, float], Pair]
MAKERS: dict[str, tuple[Maker, float]] = {  # and how much worse the second is where it is
    **dict.fromkeys(("rmse", "mae", "mape", "wape", "r2", "bias", "quantile_loss"), (prices, 0.1)),
    **dict.fromkeys(("accuracy", "precision", "recall", "f1"), (classes, 0.8)),
    **dict.fromkeys(("roc_auc", "average_precision", "log_loss", "brier", "calibration_error"), (classes, 0.8)),
    "ndcg": (rankings, 0.8),
}


def test_every_metric_can_be_compared() -> None:
    assert MAKERS.keys() == METRICS.keys() | ROW_METRICS.keys()


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_two_models_alike_seldom_differ_and_a_worse_one_does(name: str) -> None:
    maker, extra = MAKERS[name]
    rng = np.random.default_rng(1)
    alike = [paired_worse(name, *maker(rng, 300, 0.0)) for _ in range(DRAWS)]
    assert np.mean([c.p_value < 0.05 for c in alike]) <= 0.08
    assert np.mean([c.p_value < 0.01 for c in alike]) <= 0.03
    assert np.mean([c.low <= 0 <= c.high for c in alike]) >= 0.92
    if name == "bias":  # which is no larger for more spread
        return
    apart = [paired_worse(name, *maker(rng, 400, extra)) for _ in range(60)]
    assert np.mean([c.p_value < 0.05 for c in apart]) > 0.5
    better = (METRICS.get(name) or ROW_METRICS[name]).better
    assert np.mean([(c.difference > 0) == (better == "lower") for c in apart]) > 0.9


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_the_difference_is_of_the_figures_and_its_interval_fits_the_p_value(name: str) -> None:
    maker, extra = MAKERS[name]
    better = (METRICS.get(name) or ROW_METRICS[name]).better
    rng = np.random.default_rng(2)
    for rows in (40, 200):
        for _ in range(20):
            c = paired_worse(name, *maker(rng, rows, extra / 3))
            assert c.difference == pytest.approx(c.second - c.first, abs=1e-12)
            assert c.low <= c.difference <= c.high
            outside = c.low > 0 if better == "lower" else c.high < 0
            if name != "accuracy":  # McNemar's test has an interval of its own
                assert outside == (c.p_value < 0.025)


def test_errors_are_compared_by_the_paired_t_test() -> None:
    one, two = prices(np.random.default_rng(3), 150, 0.05)
    errors = [np.abs(side.prediction - side.truth) for side in (one, two)]
    absolute = ttest_rel(errors[1], errors[0], alternative="greater")
    c = paired_worse("mae", one, two)
    assert c.p_value == pytest.approx(absolute.pvalue, rel=1e-9)
    both = ttest_rel(errors[1], errors[0]).confidence_interval(0.95)
    assert (c.low, c.high) == pytest.approx((both.low, both.high), rel=1e-9)
    squared = ttest_rel(errors[1] ** 2, errors[0] ** 2, alternative="greater").pvalue
    assert paired_worse("rmse", one, two).p_value == pytest.approx(squared, rel=1e-9)


def test_accuracies_are_compared_by_mcnemars_test() -> None:
    truth = ["a"] * 40
    one = Outcomes.of_classes(truth, prediction=["a"] * 32 + ["b"] * 8)
    two = Outcomes.of_classes(truth, prediction=["b"] * 9 + ["a"] * 26 + ["b"] * 5)
    c = paired_worse("accuracy", one, two)  # nine lost, three won
    exact = binomtest(9, 12, alternative="greater").pvalue
    assert c.p_value == pytest.approx(exact - math.comb(12, 9) / 2**13, rel=1e-9)
    assert c.difference == pytest.approx(-6 / 40)
    assert paired_worse("accuracy", one, one).p_value == 1


def test_areas_are_compared_by_delongs_paired_test() -> None:
    """Against the definition, with the covariance of all pairs."""
    one, two = classes(np.random.default_rng(4), 300, 0.5)
    yes = one.true_class == 1
    parts = []
    for side in (one, two):
        positive, negative = side.scores["yes"][yes], side.scores["yes"][~yes]
        wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    contrast = np.array([-1, 1])
    variance = sum(contrast @ np.cov([part[i] for part in parts]) @ contrast / len(parts[0][i]) for i in (0, 1))
    c = paired_worse("roc_auc", one, two)
    assert c.difference == pytest.approx(
        metrics.roc_auc_score(yes, two.scores["yes"]) - metrics.roc_auc_score(yes, one.scores["yes"]), abs=1e-12
    )
    assert (c.high - c.low) / 2 == pytest.approx(1.968 * math.sqrt(variance), rel=1e-2)


def test_pairing_finds_what_two_separate_intervals_would_not() -> None:
    c = paired_worse("rmse", *prices(np.random.default_rng(5), 2000, 0.03))
    assert c.p_value < 0.01
    assert c.second < 1.06 * c.first


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_no_rows_in_common_are_no_comparison_and_the_same_model_is_not_worse(name: str) -> None:
    one, two = MAKERS[name][0](np.random.default_rng(6), 80, 0.1)
    same = paired_worse(name, one, one)
    assert (same.difference, same.low, same.high, same.p_value) == (0, same.low, same.high, 1)
    none = paired_worse(name, one.take(np.arange(0)), two.take(np.arange(0)))
    assert math.isnan(none.p_value)
    assert math.isnan(none.difference)
    assert none.rows == 0


def test_rows_that_either_has_no_prediction_for_are_left_out() -> None:
    truth = [1.0, 2, 3, 4, 5]
    one, two = Outcomes.of_numbers(truth, [math.nan, 2, 4, 4, 5]), Outcomes.of_numbers(truth, [9, 2.5, 5, 5, math.nan])
    c = paired_worse("mae", one, two)
    assert (c.rows, c.first, c.second) == (3, pytest.approx(1 / 3), pytest.approx(3.5 / 3))
    ranked = (
        Outcomes.of_numbers([1, 0, 2, 1], [2, 1, 2, 1], [0, 0, 1, 1]),
        Outcomes.of_numbers([1, 0, 2, 1], [2, math.nan, 1, 2], [0, 0, 1, 1]),
    )
    assert paired_worse("ndcg", *ranked).rows == 1


def test_two_perfect_small_samples_are_not_known_to_be_alike() -> None:
    truth = ["no"] * 8 + ["yes"] * 8
    scores = [i / 16 for i in range(16)]
    one, two = Outcomes.of_classes(truth, {"yes": scores}), Outcomes.of_classes(truth, {"yes": [s**2 for s in scores]})
    constant = Outcomes.of_classes(truth, {"yes": [0.5] * 16})
    assert paired_worse("roc_auc", one, two).p_value >= 0.5
    apart = paired_worse("roc_auc", one, constant)
    assert apart.p_value < 0.01
    assert apart.high - apart.low > 0.1


def test_other_rows_or_another_truth_are_refused() -> None:
    with pytest.raises(ValueError, match="the same rows, found 2 and 1"):
        paired_worse("mae", Outcomes.of_numbers([1, 2], [1, 2]), Outcomes.of_numbers([1], [1]))
    with pytest.raises(ValueError, match="the same truth; it differs in 1 rows, first in row 1"):
        paired_worse("mae", Outcomes.of_numbers([1, 2], [1, 2]), Outcomes.of_numbers([1, 3], [1, 2]))
    with pytest.raises(ValueError, match="the same truth; it differs in 1 rows, first in row 0"):
        paired_worse(
            "accuracy",
            Outcomes.of_classes(["a", "b"], prediction=["a", "b"]),
            Outcomes.of_classes(["b", "b"], prediction=["a", "b"]),
        )


def test_classes_may_be_coded_otherwise() -> None:
    one = Outcomes.of_classes(["b", "b", "c"], prediction=["b", "c", "c"])
    two = Outcomes.of_classes(["b", "b", "c"], prediction=["a", "b", "c"])
    assert one.classes != two.classes
    assert paired_worse("accuracy", one, two).difference == 0
    assert paired_worse("f1", one, two, MetricOptions("b")).second == pytest.approx(2 / 3)
