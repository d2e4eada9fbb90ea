"""The ledger: which estimates are kept, how they are scored, and when their estimator is no longer believed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from otel_mlmon.engine.ledger import due, entry, judged, score, trusted
from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.store import Store
from otel_mlmon.values import CheckResult, Target
from otel_mlmon.values.history import LedgerEntry

HIT, ABOVE, BELOW = 5.2, 7.0, 3.0


def _kept(window: int = 0, alert: str = "a", model: str = "m") -> LedgerEntry:
    return LedgerEntry(
        alert, model, "1", "", "rmse", window * 100, window * 100 + 100, window * 100 + 101, 5.0, 4.0, 6.0
    )


def _scored(realised: Sequence[float]) -> list[LedgerEntry]:
    return [
        score(_kept(window), Estimate(value, value - 1, value + 1, 0.5, 200), 200, 10_000)
        for window, value in enumerate(realised)
    ]


def test_one_estimate_is_kept_of_windows_that_overlap() -> None:
    kept, until = [], 0
    for start in range(0, 1000, 25):  # windows of 100, every 25
        if due(until, start):
            kept.append(start)
            until = start + 100
    assert kept == list(range(0, 1000, 100))


def test_an_estimate_without_a_band_is_not_kept() -> None:
    target = Target("m", "1", "town=a")
    assert entry("a", target, "rmse", 0, 1, 2, CheckResult("no_data", "no_rows")) is None
    made = entry("a", target, "rmse", 0, 1, 2, CheckResult("ok", "", value=5.0, low=4.0, high=6.0))
    assert made == LedgerEntry("a", "m", "1", "town=a", "rmse", 0, 1, 2, 5.0, 4.0, 6.0)


def test_a_scored_estimate_knows_how_much_of_the_truth_there_was() -> None:
    done = score(_kept(), Estimate(5.5, 5.0, 6.0, 0.25, 150), 200, 77)
    assert (done.realised, done.realised_low, done.realised_high) == (5.5, 5.0, 6.0)
    assert (done.with_truth, done.coverage, done.scored) == (150, 0.75, 77)


def test_an_estimator_that_holds_its_band_is_believed() -> None:
    assert trusted([]).ok
    assert trusted([_kept()] * 30).ok  # nothing is known of them yet
    found = trusted(_scored([HIT] * 9 + [ABOVE] + [HIT] * 10))
    assert found.ok
    assert (found.scored, found.outside) == (20, 1)


@pytest.mark.parametrize(
    ("realised", "ok"),
    [
        ([ABOVE, BELOW, ABOVE, HIT, HIT], False),  # 3 of 5
        ([ABOVE, BELOW, HIT, HIT], True),  # too few to say
        ([ABOVE, BELOW, HIT, HIT, HIT], True),
        ([HIT] * 17 + [ABOVE] * 3, False),  # in a row
        ([HIT] * 17 + [ABOVE, BELOW, ABOVE], True),
        ([HIT, HIT, ABOVE] * 7, False),
        ([ABOVE] * 10 + [HIT] * 4, False),
        ([ABOVE] * 10 + [HIT] * 5, True),  # good again
        ([ABOVE] * 10 + [HIT] * 5 + [ABOVE], False),
        ([BELOW] * 30 + [HIT] * 20, True),
    ],
)
def test_too_many_misses_or_a_row_of_them_end_the_trust_and_hits_bring_it_back(realised: list[float], ok: bool) -> None:
    assert trusted(_scored(realised)).ok is ok


def test_the_reason_has_the_figures() -> None:
    says = trusted(_scored([HIT, HIT, ABOVE, ABOVE, ABOVE])).message
    assert "of 5 estimates of rmse, 3 turned out beyond their 95% band, the last 3 all above it" in says
    assert "the last one said 5 (4 to 6), it was 7" in says


def test_a_right_band_is_doubted_seldom() -> None:
    """Of estimators whose band holds 95 %, looked at after each of 60 estimates."""
    rng = np.random.default_rng(0)
    doubted = 0
    for _ in range(60):
        entries = _scored((5 + rng.normal(0, 1 / 1.96, 60)).tolist())
        doubted += any(not trusted(entries[: n + 1]).ok for n in range(60))
    assert doubted / 60 < 0.25


def test_a_band_that_is_half_as_wide_as_it_should_be_is_found_out() -> None:
    rng = np.random.default_rng(0)
    found = [not trusted(_scored((5 + rng.normal(0, 2 / 1.96, 20)).tolist())).ok for _ in range(60)]
    assert np.mean(found) > 0.6


def test_where_some_truth_is_missing_the_rest_may_still_move_the_figure() -> None:
    made = Estimate(6.2, 5.2, 7.2, 0.5, 100)
    assert score(_kept(), made, 100, 1).side() == 1
    assert score(_kept(), made, 200, 1).side() == 0
    assert score(_kept(), Estimate(math.nan, math.nan, math.nan, math.nan, 0), 200, 1).side() == 0


def test_nothing_follows_from_an_estimator_that_is_not_believed() -> None:
    outcome = CheckResult(
        "breach", "beyond_threshold", 5.0, 4.0, 0.001, message="worse", low=4.0, high=6.0, finding="worse"
    )
    bad = trusted(_scored([ABOVE] * 5))
    found = judged(outcome, bad)
    assert (found.status, found.reason, found.message) == ("no_data", "estimator_unreliable", bad.message)
    assert (found.value, found.low, found.high, found.finding) == (5.0, 4.0, 6.0, "")
    assert judged(outcome, trusted(_scored([HIT] * 5))) == outcome
    nothing = CheckResult("no_data", "no_rows")
    assert judged(nothing, bad) == nothing


def test_the_store_keeps_estimates_until_they_are_scored_and_after(tmp_path: Path) -> None:
    store = Store(tmp_path / "mlmon.duckdb")
    rows = [_kept(window, alert) for alert in ("a", "b") for window in range(3)]
    store.documents.append_estimates(rows)
    store.documents.append_estimates(rows[:2])  # evaluated again after a crash
    store.documents.append_estimates([])
    assert [e.start for e in store.documents.estimates("a", 10)] == [0, 100, 200]
    assert [e.start for e in store.documents.estimates("a", 2)] == [100, 200]
    assert math.isnan(store.documents.estimates("a", 1)[0].realised)
    done = score(rows[1], Estimate(5.5, 5.0, math.nan, 0.25, 150), 200, 77)
    store.documents.score_estimates([done, _kept(99)])
    store.documents.score_estimates([])
    store.close()
    again = Store(tmp_path / "mlmon.duckdb")
    found = again.documents.estimates("a", 10)
    assert [e.scored for e in found] == [0, 77, 0]
    assert found[1][:-6] == done[:-6]
    assert (found[1].realised, found[1].realised_low, found[1].coverage) == (5.5, 5.0, 0.75)
    assert math.isnan(found[1].realised_high)
    again.close()
