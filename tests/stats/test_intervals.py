"""Confidence intervals have their coverage, and agree with the tests of worsening. All draws are seeded."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from otel_mlmon.stats.inference.estimate import Estimate, worse
from otel_mlmon.stats.metrics.classification import business_value
from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes, performance_counts
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS
from otel_mlmon.values import PerformanceCounts

DRAWS = 1000
OF_ERRORS = ("rmse", "mae", "bias", "mape", "wape", "r2")
ERRORS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "laplace": lambda rng, n: rng.laplace(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(5, size=n),
    "off by five": lambda rng, n: 5 + rng.normal(size=n),
    "spread that varies": lambda rng, n: rng.normal(size=n) * rng.lognormal(0, 0.5, size=n),
}


def interval(name: str, counts: PerformanceCounts, positive: str | None, confidence: float) -> tuple[float, float]:
    estimate = METRICS[name].estimate(counts, positive, confidence)
    return estimate.low, estimate.high


def regression(rng: np.random.Generator, errors: str, rows: int) -> PerformanceCounts:
    truth = rng.lognormal(0, 0.5, rows)
    return performance_counts(Outcomes(truth, truth + ERRORS[errors](rng, rows)))


def missed(found: list[tuple[float, float]], truth: float) -> tuple[float, float]:
    """Shares of intervals that lie above the truth, and below it."""
    low, high = np.array(found).T
    assert not np.isnan(low).any()
    return float((low > truth).mean()), float((high < truth).mean())


@pytest.mark.parametrize("errors", sorted(ERRORS))
def test_intervals_of_regression_metrics_hold_the_truth(errors: str) -> None:
    rng = np.random.default_rng(1)
    large = regression(rng, errors, 2_000_000)
    windows = [regression(rng, errors, 300) for _ in range(DRAWS)]
    for name in OF_ERRORS:
        truth = METRICS[name].value(large, None)
        if name == "bias" and errors != "off by five":
            truth = 0.0
        above, below = missed([interval(name, window, None, 0.95) for window in windows], truth)
        worse_end, better_end = (above, below) if METRICS[name].better == "lower" else (below, above)
        assert worse_end <= 0.04, name  # the end that raises alarms
        # Few windows hold the largest errors of heavy tails, which a squared error is made of.
        assert better_end <= (0.09 if name == "rmse" else 0.04), name


@pytest.mark.parametrize(
    ("right", "classes", "rows"), [(0.9, 2, 50), (0.7, 3, 50), (0.9, 3, 300), (0.99, 2, 200), (0.9, 10, 300)]
)
def test_intervals_of_classification_metrics_hold_the_truth(right: float, classes: int, rows: int) -> None:
    rng = np.random.default_rng(2)
    share = 1 / np.arange(1, classes + 1)
    answers = np.full((classes, classes), (1 - right) / (classes - 1))
    np.fill_diagonal(answers, right)
    joint = (share / share.sum())[:, None] * answers

    def counts(cells: np.ndarray) -> PerformanceCounts:
        return PerformanceCounts(confusion={(str(i), str(j)): int(n) for (i, j), n in np.ndenumerate(cells) if n})

    draws = [counts(d) for d in rng.multinomial(rows, joint.ravel(), size=DRAWS).reshape(-1, classes, classes)]
    for name in ("accuracy", "precision", "recall", "f1"):
        for positive in (None, "0", "1"):
            truth = METRICS[name].value(counts(joint * 1e9), positive)
            found = [interval(name, draw, positive, 0.95) for draw in draws]
            assert sum(missed(found, truth)) <= 0.075, (name, positive)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30),
    st.floats(0.01, 2),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_a_regression_interval_is_beyond_a_limit_when_the_p_value_is_small(
    pairs: list[tuple[float, float]], factor: float, confidence: float
) -> None:
    counts = performance_counts(Outcomes.of_numbers(*zip(*pairs, strict=True)))
    for name in OF_ERRORS:
        agree(name, counts, None, confidence, factor)


CELLS = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), st.integers(0, 200), min_size=1)


@settings(deadline=None)
@given(CELLS, st.floats(0.5, 1))
def test_where_a_classifier_is_found_worse_its_interval_is_too(cells: dict[tuple[str, str], int], limit: float) -> None:
    counts = PerformanceCounts(confusion=cells)
    for name in ("precision", "recall", "f1"):
        agree(name, counts, None, 0.95, limit, share=True)
    for name in ("accuracy", "precision", "recall", "f1"):  # the exact test is the stricter one
        for positive in ("a", "b"):
            if METRICS[name].worse(counts, limit, positive) < 0.025:
                assert interval(name, counts, positive, 0.95)[1] < limit


def agree(
    name: str, counts: PerformanceCounts, positive: str | None, confidence: float, factor: float, *, share: bool = False
) -> None:
    found = METRICS[name].estimate(counts, positive, confidence)
    if math.isnan(found.low):
        return
    assert found.low <= found.value <= found.high
    assert METRICS[name].better == "higher" or found.low >= 0
    limit = factor if share else factor * abs(found.value) + (factor - 1) * found.standard_error
    if limit > 1 if name == "r2" else limit < 0:  # which no figure can be
        return
    outside = limit < found.low if METRICS[name].better == "lower" else limit > found.high
    near = min(abs(limit - found.low), abs(limit - found.high)) <= 1e-6 * (1 + abs(limit))
    p_value = METRICS[name].worse(counts, limit, positive)
    assert near or (p_value < (1 - confidence) / 2) == outside, (name, limit, found)


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_interval_without_rows(name: str) -> None:
    assert all(math.isnan(end) for end in interval(name, PerformanceCounts(), None, 0.95))
    assert all(math.isnan(end) for end in interval(name, PerformanceCounts(), "yes", 0.95))


@pytest.mark.parametrize("name", OF_ERRORS)
def test_no_interval_of_one_row(name: str) -> None:
    assert all(
        math.isnan(end) for end in interval(name, performance_counts(Outcomes.of_numbers([1.0], [2.0])), None, 0.95)
    )


@pytest.mark.parametrize("name", OF_ERRORS)
def test_numbers_too_large_for_their_sums_are_no_error_and_never_sure(name: str) -> None:
    counts = performance_counts(Outcomes.of_numbers([1e300, -1e300, 1e-300, 3.0], [-1e300, 1e200, 2.0, 1e308]))
    assert not METRICS[name].worse(counts, 0.5, None) < 0.025
    low, high = interval(name, counts, None, 0.95)
    assert math.isnan(low) or low <= 0 or high == math.inf


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_that_is_no_share_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=f"confidence must be between 0 and 1, found {confidence}"):
        interval("mae", performance_counts(Outcomes.of_numbers([1, 2], [2, 4])), None, confidence)


def test_a_share_without_a_miss_still_has_a_standard_error() -> None:
    found = METRICS["accuracy"].estimate(PerformanceCounts(confusion={("a", "a"): 10}), None, 0.95)
    assert found.high == 1
    assert found.low < 0.75
    assert found.standard_error > 0.07


# ---- metrics of rows -------------------------------------------------------------------------------------------


def classifier(truth: np.ndarray, score: np.ndarray) -> Outcomes:
    nothing, none = np.full(len(truth), np.nan), np.full(len(truth), -1, np.int32)
    return Outcomes(nothing, nothing, ("no", "yes"), truth.astype(np.int32), none, {"yes": score})


def separated(area: float, positives: int, negatives: int) -> Callable[[np.random.Generator, int], Outcomes]:
    """Normal scores with that area under the ROC curve; sizes are times the number that is asked for."""
    apart = norm.ppf(area) * math.sqrt(2)

    def draw(rng: np.random.Generator, times: int) -> Outcomes:
        m, n = positives * times, negatives * times
        return classifier(np.arange(m + n) < m, np.concatenate([rng.normal(apart, 1, m), rng.normal(0, 1, n)]))

    return draw


def probabilities(a: float, b: float, off: float, rows: int) -> Callable[[np.random.Generator, int], Outcomes]:
    """Beta probabilities of a model that says too little by up to `off`."""

    def draw(rng: np.random.Generator, times: int) -> Outcomes:
        said = rng.beta(a, b, rows * times)
        return classifier(rng.random(len(said)) < np.clip(said + off * 4 * said * (1 - said), 0, 1), said)

    return draw


def figures(
    name: str, draw: Callable[[np.random.Generator, int], Outcomes], seed: int, options: MetricOptions
) -> list[Estimate]:
    rng = np.random.default_rng(seed)
    return [ROW_METRICS[name].estimate(draw(rng, 1), options, 0.95) for _ in range(DRAWS)]


def hold(name: str, draw: Callable[[np.random.Generator, int], Outcomes], truth: float, options: MetricOptions) -> None:
    found = figures(name, draw, 4, options)
    better = ROW_METRICS[name].better
    above, below = missed([(f.low, f.high) for f in found], truth)
    assert above + below <= 0.07
    assert (above if better == "lower" else below) <= 0.045  # the end that raises alarms
    assert np.mean([worse(f, truth, better) < 0.01 for f in found]) <= 0.025


@pytest.mark.parametrize("area", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize(("positives", "negatives"), [(10, 10), (10, 300), (100, 20), (200, 200)])
def test_delongs_interval_holds_the_area_under_the_curve(area: float, positives: int, negatives: int) -> None:
    hold("roc_auc", separated(area, positives, negatives), area, MetricOptions())


@pytest.mark.parametrize("area", [0.7, 0.9, 0.99])
@pytest.mark.parametrize(("positives", "negatives"), [(30, 70), (50, 950)])
def test_the_interval_holds_the_average_precision(area: float, positives: int, negatives: int) -> None:
    draw = separated(area, positives, negatives)
    large = draw(np.random.default_rng(5), 1000)
    hold(
        "average_precision",
        draw,
        ROW_METRICS["average_precision"].influence(large, MetricOptions()).value,
        MetricOptions(),
    )


@pytest.mark.parametrize("name", ["log_loss", "brier"])
@pytest.mark.parametrize("law", [(2, 2, 0.0), (0.3, 0.3, 0.05), (0.2, 3, 0.2)])
def test_intervals_hold_the_losses_of_probabilities(name: str, law: tuple[float, float, float]) -> None:
    draw = probabilities(*law, rows=200)
    truth = ROW_METRICS[name].influence(draw(np.random.default_rng(6), 20_000), MetricOptions()).value
    hold(name, draw, truth, MetricOptions())


@pytest.mark.parametrize("rows", [50, 500, 5000])
@pytest.mark.parametrize("law", [(2, 2, 0.0), (0.3, 0.3, 0.05), (0.2, 3, 0.2), (2, 2, 0.2)])
def test_the_interval_holds_the_calibration_error_and_chance_is_no_error(
    law: tuple[float, float, float], rows: int
) -> None:
    a, b, off = law
    said = np.random.default_rng(7).beta(a, b, 2_000_000)
    gap = np.clip(said + off * 4 * said * (1 - said), 0, 1) - said
    truth = np.abs(np.bincount((said * 10).astype(int), weights=gap)).sum() / len(said)
    hold("calibration_error", probabilities(a, b, off, rows), float(truth), MetricOptions())


def test_a_large_calibration_error_is_found() -> None:
    found = figures("calibration_error", probabilities(2, 2, 0.2, 1000), 8, MetricOptions())
    assert np.mean([worse(f, 0.1, "lower") < 0.01 for f in found]) > 0.75


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_the_interval_holds_the_quantile_loss_of_skewed_errors(quantile: float) -> None:
    def draw(rng: np.random.Generator, times: int) -> Outcomes:
        prediction = rng.lognormal(0, 0.5, 300 * times)
        return Outcomes(prediction * rng.lognormal(0, 0.5, len(prediction)), prediction)

    options = MetricOptions(quantile=quantile)
    truth = ROW_METRICS["quantile_loss"].influence(draw(np.random.default_rng(9), 10_000), options).value
    hold("quantile_loss", draw, truth, options)


@pytest.mark.parametrize("queries", [20, 200])
def test_the_interval_holds_the_ndcg(queries: int) -> None:
    def draw(rng: np.random.Generator, times: int) -> Outcomes:
        score = rng.normal(size=8 * queries * times)
        relevance = np.maximum(0, np.round(score + rng.normal(size=len(score))))
        return Outcomes(relevance, score, query=np.repeat(np.arange(queries * times, dtype=np.int32), 8))

    truth = ROW_METRICS["ndcg"].influence(draw(np.random.default_rng(10), 1000), MetricOptions()).value
    hold("ndcg", draw, truth, MetricOptions())


def test_the_interval_of_a_mean_over_classes_holds_the_area() -> None:
    def draw(rng: np.random.Generator, times: int) -> Outcomes:
        truth = rng.choice(3, 200 * times, p=[0.6, 0.3, 0.1]).astype(np.int32)
        scores = {name: (truth == i) + rng.normal(size=len(truth)) for i, name in enumerate("abc")}
        nothing = np.full(len(truth), np.nan)
        return Outcomes(nothing, nothing, ("a", "b", "c"), truth, np.full(len(truth), -1, np.int32), scores)

    hold("roc_auc", draw, float(norm.cdf(math.sqrt(0.5))), MetricOptions())


# ---- business value --------------------------------------------------------------------------------------------

VALUES = {("bad", "good"): -100.0, ("bad", "bad"): 1.0, ("good", "good"): 10.0, ("good", "bad"): -10.0}
SHARES = {("bad", "good"): 0.03, ("bad", "bad"): 0.07, ("good", "good"): 0.8, ("good", "bad"): 0.1}


def test_the_interval_holds_the_business_value_and_it_seldom_seems_worse() -> None:
    draws = np.random.default_rng(11).multinomial(500, list(SHARES.values()), size=2000)
    windows = [dict(zip(SHARES, map(int, draw), strict=True)) for draw in draws]
    truth = sum(share * VALUES[pair] for pair, share in SHARES.items())
    found = [business_value(window, VALUES) for window in windows]
    assert sum(missed([(f.low, f.high) for f in found], truth)) <= 0.07
    assert np.mean([worse(business_value(window, VALUES), truth, "higher") < 0.05 for window in windows]) <= 0.075
    assert np.mean([worse(business_value(window, VALUES), truth + 3, "higher") < 0.05 for window in windows]) > 0.8


def test_a_pair_without_a_value_is_worth_nothing_and_no_rows_have_no_value() -> None:
    assert business_value({("a", "b"): 1, ("a", "a"): 3}, {("a", "a"): 2.0}).value == 1.5
    assert math.isnan(business_value({}, VALUES).value)
    assert math.isnan(worse(business_value({("bad", "bad"): 1}, VALUES), 0.0, "higher"))
