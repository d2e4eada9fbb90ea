"""Metrics that need the rows: scikit-learn's on the same rows, and what they make of rows that are odd."""

from __future__ import annotations

import math
import warnings
from functools import cache

import numpy as np
import pytest
from e2e.live import real
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from otel_mlmon.stats.inference.estimate import Estimate, worse
from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes, performance_counts
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS

OF_SCORES = ("roc_auc", "average_precision", "log_loss", "brier", "calibration_error")
SUBSETS = (1.0, 0.4, 0.03, 0.004)
SCORES = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])), min_size=1, max_size=40)


def figure(name: str, outcomes: Outcomes, **options: object) -> Estimate:
    return ROW_METRICS[name].estimate(outcomes, MetricOptions(**options), 0.95)  # type: ignore[arg-type]


def table(name: str, columns: list[str]) -> np.ndarray:
    path = real(name)
    header = path.open().readline().strip().split(",")
    return np.genfromtxt(path, delimiter=",", skip_header=1, usecols=[header.index(c) for c in columns])


@cache
def houses() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, price, and the names of four classes of unequal size."""
    rows = table(
        "california_housing.csv", ["longitude", "latitude", "housing_median_age", "median_income", "median_house_value"]
    )
    price = rows[:, -1]
    names = np.array(["cheap", "dear", "middle", "very dear"])
    return rows[:, :-1], price, names[np.select([price < 1e5, price < 2.5e5, price < 4.5e5], [0, 2, 1], 3)]


def shares(features: np.ndarray, truth: np.ndarray, columns: int) -> tuple[LogisticRegression, np.ndarray]:
    """A model of some of the features, learnt from every seventh row, and its probabilities."""
    scaled = StandardScaler().fit_transform(features)[:, -columns:]
    model = LogisticRegression(max_iter=500).fit(scaled[::7], truth[::7])
    return model, model.predict_proba(scaled)


@pytest.mark.parametrize("known", SUBSETS)
def test_metrics_of_two_classes_are_scikit_learns_on_california_housing(known: float) -> None:
    features, price, _ = houses()
    truth = np.where(price > 2.5e5, "yes", "no")
    _, probability = shares(features, truth, 1)
    chosen = np.random.default_rng(1).random(len(truth)) < known
    right, score = truth[chosen] == "yes", probability[chosen, 1]
    outcomes = Outcomes.of_classes(truth[chosen].tolist(), {"yes": score.round(2).tolist()})  # rounded: ties
    score = score.round(2)
    expected = {
        "roc_auc": metrics.roc_auc_score(right, score),
        "average_precision": metrics.average_precision_score(right, score),
        "log_loss": metrics.log_loss(right, np.column_stack([1 - score, score])),
        "brier": metrics.brier_score_loss(right, score),
    }
    for name, value in expected.items():
        assert figure(name, outcomes).value == pytest.approx(value, abs=1e-9), name
        assert figure(name, outcomes, positive="yes").value == pytest.approx(value, abs=1e-9), name
    of_no = figure("average_precision", outcomes, positive="no").value
    assert of_no == pytest.approx(metrics.average_precision_score(~right, 1 - score), abs=1e-9)


@pytest.mark.parametrize("known", SUBSETS)
def test_metrics_of_four_classes_are_scikit_learns_on_california_housing(known: float) -> None:
    features, _, truth = houses()
    model, probability = shares(features, truth, 2)
    chosen = np.random.default_rng(2).random(len(truth)) < known
    names, truth, probability = model.classes_.tolist(), truth[chosen], probability[chosen]
    assert set(truth) == set(names)
    outcomes = Outcomes.of_classes(truth.tolist(), {name: probability[:, i].tolist() for i, name in enumerate(names)})
    expected = {
        "roc_auc": metrics.roc_auc_score(truth, probability, multi_class="ovr"),
        "average_precision": metrics.average_precision_score(truth, probability),
        "log_loss": metrics.log_loss(truth, probability, labels=names),
        "brier": metrics.brier_score_loss(truth, probability, labels=names),
    }
    for name, value in expected.items():
        assert figure(name, outcomes).value == pytest.approx(value, abs=1e-9), name
    one = figure("roc_auc", outcomes, positive="dear").value
    assert one == pytest.approx(metrics.roc_auc_score(truth == "dear", probability[:, 1]), abs=1e-9)


@pytest.mark.parametrize("known", SUBSETS)
def test_pinball_loss_and_ndcg_are_scikit_learns_on_bike_sharing(known: float) -> None:
    day, hour, riders, temperature = table("bike_sharing_hourly.csv", ["instant", "hr", "cnt", "temp"]).T
    query = ((day - 1) // 24).astype(int)
    prediction = np.round(riders[:5000].mean() * temperature + 10 * (hour // 6), -1)  # ties within a day
    chosen = np.random.default_rng(3).random(len(day)) < known
    query, riders, prediction = query[chosen], riders[chosen], prediction[chosen]
    outcomes = Outcomes.of_numbers(riders.tolist(), prediction.tolist(), query.tolist())
    for q in (0.1, 0.5, 0.9):
        expected = metrics.mean_pinball_loss(riders, prediction, alpha=q)
        assert figure("quantile_loss", outcomes, quantile=q).value == pytest.approx(expected, rel=1e-9)
    for k in (None, 1, 3):
        of_queries = [
            metrics.ndcg_score([riders[query == q]], [prediction[query == q]], k=k)
            for q in np.unique(query)
            if (query == q).sum() > 1
        ]
        found = figure("ndcg", outcomes, k=k)
        assert found.rows == len(of_queries)
        assert found.value == pytest.approx(np.mean(of_queries), abs=1e-9)


@settings(deadline=None)
@given(SCORES)
def test_ties_single_classes_and_certainties_are_as_in_scikit_learn(rows: list[tuple[bool, float]]) -> None:
    right, score = (np.array(column) for column in zip(*rows, strict=True))
    outcomes = Outcomes.of_classes(["yes" if r else "no" for r in right], {"yes": score.tolist()})
    assert figure("brier", outcomes).value == pytest.approx(np.mean((score - right) ** 2), abs=1e-9)
    two = np.column_stack([1 - score, score])
    assert figure("log_loss", outcomes).value == pytest.approx(metrics.log_loss(right, two, labels=[0, 1]), abs=1e-9)
    if right.all() or not right.any():
        assert math.isnan(figure("roc_auc", outcomes).value)
        assert math.isnan(figure("average_precision", outcomes).value)
    else:
        assert figure("roc_auc", outcomes).value == pytest.approx(metrics.roc_auc_score(right, score), abs=1e-9)
        expected = metrics.average_precision_score(right, score)
        assert figure("average_precision", outcomes).value == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(SCORES)
def test_an_interval_holds_the_value_and_agrees_with_the_p_value(rows: list[tuple[bool, float]]) -> None:
    outcomes = Outcomes.of_classes(["yes" if r else "no" for r, _ in rows], {"yes": [s for _, s in rows]})
    for name in OF_SCORES:
        found, better = figure(name, outcomes), ROW_METRICS[name].better
        if math.isnan(found.low):
            assert math.isnan(worse(found, 0.5, better))
            continue
        assert found.low <= found.value <= found.high
        for limit in (0.01, 0.2, 0.5, 0.8, 0.99):
            outside = limit < found.low if better == "lower" else limit > found.high
            if min(abs(limit - found.low), abs(limit - found.high)) > 1e-9:
                assert (worse(found, limit, better) < 0.025) == outside, (name, limit)


def test_the_variance_of_roc_auc_is_delongs() -> None:
    """Against the definition, with all pairs."""
    rng = np.random.default_rng(4)
    positive, negative = rng.normal(0.7, 1, 80).round(1), rng.normal(0, 1, 150).round(1)
    outcomes = Outcomes.of_classes(["yes"] * 80 + ["no"] * 150, {"yes": [*positive, *negative]})
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = wins.mean(axis=1).var(ddof=1) / 80 + wins.mean(axis=0).var(ddof=1) / 150
    assert figure("roc_auc", outcomes).standard_error == pytest.approx(math.sqrt(variance), rel=1e-2)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
@pytest.mark.parametrize("rows", [2, 10, 100])
def test_perfect_scores_of_a_small_sample_are_not_known_perfectly(name: str, rows: int) -> None:
    outcomes = Outcomes.of_classes(["no"] * rows + ["yes"] * rows, {"yes": [0.0] * rows + [1.0] * rows})
    found = figure(name, outcomes)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 1 - 0.3 / rows
    assert found.standard_error > 0
    assert worse(found, 0.99, "higher") >= 0.5


@pytest.mark.parametrize("name", sorted(ROW_METRICS))
def test_no_rows_no_value_and_one_row_no_interval(name: str) -> None:
    better = ROW_METRICS[name].better
    empty = Outcomes(np.zeros(0), np.zeros(0), ("a", "b"), scores={"b": np.zeros(0)}, query=np.zeros(0, np.int32))
    one = Outcomes(
        np.ones(1),
        np.zeros(1),
        ("a", "b"),
        np.ones(1, np.int32),
        np.ones(1, np.int32),
        {"b": np.array([0.5])},
        np.zeros(1, np.int32),
    )
    for outcomes in (empty, empty.take(np.zeros(0, np.bool_)), one):
        found = figure(name, outcomes)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        assert math.isnan(worse(found, 0.5, better))
    assert math.isnan(figure(name, empty).value)


@pytest.mark.parametrize("name", OF_SCORES)
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_rows_without_a_finite_score_do_not_count(name: str, odd: float) -> None:
    truth, score = ["no", "yes", "no", "yes", "no", "yes"], [0.1, 0.9, 0.6, 0.4, 0.3, 0.7]
    found = figure(name, Outcomes.of_classes([*truth, "yes", "no"], {"yes": [*score, odd, odd]}))
    assert found == figure(name, Outcomes.of_classes(truth, {"yes": score}))
    assert found.rows == 6
    assert math.isnan(figure(name, Outcomes.of_classes(truth, {"yes": [odd] * 6})).value)
    assert math.isnan(figure(name, Outcomes.of_classes(truth)).value)


@pytest.mark.parametrize("name", ["quantile_loss", "ndcg"])
def test_rows_without_finite_numbers_do_not_count(name: str) -> None:
    odd = Outcomes.of_numbers([1, 2, 3, math.nan, 4, 9], [2, 1, 3, 4, math.inf, 1], [0, 0, 0, 0, 0, -1])
    usual = odd.take(np.arange(3 if name == "ndcg" else 6))
    assert figure(name, odd) == figure(name, usual)


def test_the_class_in_question_is_the_one_that_has_scores_else_the_last_of_two() -> None:
    truth, score = ["no", "yes", "no", "yes"], [0.1, 0.9, 0.3, 0.6]
    for scores in ({"yes": score}, {"no": [1 - s for s in score]}, {"no": [0.5] * 4, "yes": score}):
        assert figure("average_precision", Outcomes.of_classes(truth, scores)).value == 1
    assert figure("roc_auc", Outcomes.of_classes(truth, {"no": score})).value == 0
    with pytest.raises(ValueError, match="no scores of class 'maybe'; there are some of 'no', 'yes'"):
        figure("roc_auc", Outcomes.of_classes(truth, {"no": score, "yes": score}), positive="maybe")


@pytest.mark.parametrize("name", ["log_loss", "brier", "calibration_error"])
def test_scores_that_are_no_probabilities_are_refused_where_they_have_to_be(name: str) -> None:
    outcomes = Outcomes.of_classes(["no", "yes"], {"yes": [-2.5, 3.0]})
    assert figure("roc_auc", outcomes).value == 1
    with pytest.raises(ValueError, match=r"scores must be probabilities, 0 to 1, found -2\.5 for class 'yes'"):
        figure(name, outcomes)


def test_a_class_that_the_model_does_not_know_was_given_no_probability() -> None:
    outcomes = Outcomes.of_classes(["a", "b", "c", "new"], {c: [1 / 3] * 4 for c in "abc"})
    assert figure("brier", outcomes).value == pytest.approx(np.mean([2 / 3] * 3 + [4 / 3]))
    assert figure("log_loss", outcomes).value == pytest.approx((3 * math.log(3) - math.log(np.finfo(float).eps)) / 4)


def test_calibration_error_is_the_mean_gap_between_what_is_said_and_what_comes_true() -> None:
    truth = ["yes"] * 7 + ["no"] * 3 + ["yes"] * 1 + ["no"] * 9
    assert figure(
        "calibration_error", Outcomes.of_classes(truth, {"yes": [0.85] * 10 + [0.1] * 10})
    ).value == pytest.approx(0.075)
    three = Outcomes.of_classes(["a", "a", "b", "c"], {"a": [0.6] * 4, "b": [0.3] * 4, "c": [0.1] * 4})
    assert figure("calibration_error", three).value == pytest.approx(0.1)  # said 0.6, true 0.5


def test_odd_options_and_rankings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"quantile must be between 0 and 1, found 1\.5"):
        figure("quantile_loss", Outcomes.of_numbers([1], [1]), quantile=1.5)
    with pytest.raises(ValueError, match="k must be 1 or more, found 0"):
        figure("ndcg", Outcomes.of_numbers([1, 2], [1, 2], [0, 0]), k=0)
    with pytest.raises(ValueError, match="needs the query of each row"):
        figure("ndcg", Outcomes.of_numbers([1, 2], [1, 2]))
    with pytest.raises(ValueError, match=r"must not be negative, found -1\.0"):
        figure("ndcg", Outcomes.of_numbers([1, -1], [1, 2], [0, 0]))
    with pytest.raises(ValueError, match="prediction has 1 rows, truth 2"):
        Outcomes.of_numbers([1, 2], [1])


def test_a_ranking_without_anything_relevant_is_worth_nothing_as_in_scikit_learn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (
            metrics.ndcg_score([[0, 0]], [[1, 2]])
            == figure("ndcg", Outcomes.of_numbers([0, 0], [1, 2], [3, 3])).value
            == 0
        )


def test_the_sums_of_rows_give_the_metrics_of_sums() -> None:
    truth, prediction = np.array([1.0, 2, 0, 4]), np.array([1.5, 2, 1, 3])
    counts = performance_counts(Outcomes.of_numbers(truth.tolist(), prediction.tolist()))
    expected = metrics.root_mean_squared_error(truth, prediction)
    assert METRICS["rmse"].value(counts, None) == pytest.approx(expected)
    assert METRICS["wape"].value(counts, None) == pytest.approx(2.5 / 7)
    classes = performance_counts(Outcomes.of_classes(["a", "b", "b"], prediction=["a", "a", "b"]))
    assert classes.confusion == {("a", "a"): 1, ("b", "a"): 1, ("b", "b"): 1}
