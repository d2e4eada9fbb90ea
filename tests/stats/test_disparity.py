"""The largest difference between segments: chance alone seldom makes one, however many there are."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.stats.metrics.disparity import NO_DISPARITY, largest_disparity
from otel_mlmon.stats.metrics.outcomes import Outcomes, performance_counts
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import PerformanceCounts

SIZES = (50, 50, 60, 80, 100, 150, 200, 300, 500, 800, 1000, 3000)


def errors(rng: np.random.Generator, rows: int, scale: float = 1.0) -> Estimate:
    truth = np.zeros(rows)
    return METRICS["mae"].estimate(performance_counts(Outcomes(truth, scale * rng.laplace(size=rows))), None, 0.95)


def hits(rng: np.random.Generator, rows: int, right: float = 0.9) -> Estimate:
    found = int(rng.binomial(rows, right))
    counts = PerformanceCounts(confusion={("a", "a"): found, ("a", "b"): rows - found})
    return METRICS["accuracy"].estimate(counts, None, 0.95)


@pytest.mark.parametrize("figure", [errors, hits])
@pytest.mark.parametrize("segments", [2, 5, 12])
def test_segments_alike_seldom_differ(figure, segments: int) -> None:
    rng = np.random.default_rng(1)
    gaps = [largest_disparity({str(i): figure(rng, n) for i, n in enumerate(SIZES[-segments:])}) for _ in range(1000)]
    assert np.mean([gap.p_value < 0.05 for gap in gaps]) <= 0.065
    assert np.mean([gap.p_value < 0.01 for gap in gaps]) <= 0.02
    assert {gap.pairs for gap in gaps} == {segments * (segments - 1) // 2}


@pytest.mark.parametrize("figure", [errors, hits])
def test_a_difference_within_the_limit_is_no_gap(figure) -> None:
    rng = np.random.default_rng(2)
    settings = (1.0, 1.3) if figure is errors else (0.9, 0.8)
    limit = abs(settings[0] - settings[1])
    gaps = [
        largest_disparity({"a": figure(rng, 400, settings[0]), "b": figure(rng, 300, settings[1])}, limit)
        for _ in range(1000)
    ]
    assert np.mean([gap.p_value < 0.05 for gap in gaps]) <= 0.065


def test_the_segment_that_differs_is_named_though_a_small_one_differs_more_by_chance() -> None:
    sure = {"north": Estimate(0.90, 0.88, 0.92, 0.01, 900), "south": Estimate(0.80, 0.78, 0.82, 0.01, 900)}
    gap = largest_disparity({**sure, "tiny": Estimate(0.60, 0.3, 0.9, 0.15, 8)}, limit=0.05)
    assert (gap.lower, gap.higher, gap.pairs) == ("south", "north", 3)
    assert gap.p_value < 0.01
    assert gap.difference == pytest.approx(0.1)
    assert gap.largest == pytest.approx(0.3)


def test_any_two_beyond_the_limit_are_named_before_two_within_it() -> None:
    figures = {
        "a": Estimate(1.0, 0, 0, 0.2, 50),
        "b": Estimate(2.0, 0, 0, 0.4, 50),
        "c": Estimate(1.5, 0, 0, 0.01, 5000),
    }
    gap = largest_disparity(figures, limit=0.9)
    assert (gap.lower, gap.higher) == ("a", "b")
    assert gap.difference == 1.0


def test_figures_that_are_not_known_are_left_out() -> None:
    known = {"a": Estimate(0.9, 0, 0, 0.01, 100), "b": Estimate(0.7, 0, 0, 0.01, 100)}
    odd = {
        "no value": Estimate(math.nan, 0, 0, 0.01, 100),
        "no error": Estimate(0.1, 0, 0, math.nan, 100),
        "infinite": Estimate(math.inf, 0, 0, 0.01, 100),
        "one row": Estimate(0.1, 0, 0, 0.01, 1),
    }
    assert largest_disparity({**known, **odd}) == largest_disparity(known)
    assert largest_disparity({"a": known["a"], **odd}) == NO_DISPARITY
    assert largest_disparity({}) == NO_DISPARITY
    assert math.isnan(NO_DISPARITY.p_value)


def test_figures_without_any_spread_differ_for_certain_or_not_at_all() -> None:
    same = {"a": Estimate(1.0, 1, 1, 0.0, 10), "b": Estimate(1.0, 1, 1, 0.0, 10)}
    assert largest_disparity(same).p_value == 1
    assert largest_disparity({**same, "c": Estimate(2.0, 2, 2, 0.0, 10)}).p_value == 0


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"limit must be 0 or more, found -0\.1"):
        largest_disparity({}, -0.1)
