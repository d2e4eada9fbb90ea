"""Rules about outcomes on a real store: disparities, error budgets, champion and challenger, revisions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from engine.world import DAY, HOUR, World, firing, spread
from references import reference_of

from otel_mlmon.values.history import RevisionRow


def _prices(
    rng: np.random.Generator, n: int, start: int, end: int, *, sigma: float = 10.0, delay: int = 0
) -> pd.DataFrame:
    truth = rng.normal(300, 80, n)
    return pd.DataFrame(
        {
            "time": spread(n, start, end),
            "area": truth / 3 + rng.normal(0, 1, n),
            "town": rng.choice(["a", "b"], n),
            "prediction": truth + rng.normal(0, sigma, n),
            "truth": truth,
            "delay": delay,
        }
    )


def _reference(sigma: float = 10.0) -> object:
    frame = _prices(np.random.default_rng(99), 5000, 0, DAY, sigma=sigma).drop(columns=["time", "delay"])
    return reference_of(frame, prediction="prediction", ground_truth="truth", segments=("town",))


# ---- fairness


def _applicants(rng: np.random.Generator, n: int, recall: dict[str, float]) -> pd.DataFrame:
    town = rng.choice(list(recall), n)
    truth = rng.random(n) < 0.5
    found = rng.random(n) < np.vectorize(recall.get)(town)
    predicted = np.where(truth, found, rng.random(n) < 0.1)
    names = np.array(["no", "yes"])
    return pd.DataFrame(
        {
            "time": spread(n, 0, DAY),
            "town": town,
            "truth": names[truth.astype(int)],
            "prediction": names[predicted.astype(int)],
            "delay": 0,
        }
    )


FAIR = "{alert: Unfair, fairness: recall, positive: 'yes', above: 10%, segments: [town]}"


def test_the_largest_gap_between_segments_is_named() -> None:
    world = World(FAIR)
    world.send(_applicants(np.random.default_rng(0), 4000, {"a": 0.9, "b": 0.9, "c": 0.6, "d": 0.88}))
    verdict = world.tick(DAY + HOUR)["Unfair", ""].verdict
    assert verdict.result.status == "breach" and verdict.result.finding == "gap"
    assert verdict.result.value == pytest.approx(0.3, abs=0.06)
    assert "town=c" in verdict.result.message
    assert [s.segment for s in verdict.result.evidence.segments][-1] == "town=c"


def test_a_gap_that_small_segments_have_by_chance_is_none() -> None:
    fired = 0
    for seed in range(40):
        world = World(FAIR)
        world.send(_applicants(np.random.default_rng(seed), 1500, dict.fromkeys("abcdefgh", 0.8)))
        fired += world.tick(DAY + HOUR)["Unfair", ""].verdict.result.status == "breach"
    assert fired == 0


def test_without_two_segments_of_some_size_there_is_no_gap_to_judge() -> None:
    world = World(FAIR)
    world.send(_applicants(np.random.default_rng(0), 400, {"a": 0.9}))
    verdict = world.tick(DAY + HOUR)["Unfair", ""].verdict
    assert (verdict.result.status, verdict.result.reason) == ("no_data", "too_few_segments")


# ---- budgets


def test_an_error_budget_is_left_alone_by_normal_errors_and_burns_with_large_ones() -> None:
    rng = np.random.default_rng(1)
    rule = "{alert: Budget, budget: rmse, worse_than_reference: 20%, over: 30d}"
    world = World(rule, reference=_reference(), window="6h", interval="6h")  # type: ignore[arg-type]
    for day in range(20):
        world.send(_prices(rng, 2000, day * DAY, (day + 1) * DAY))
        found = world.tick((day + 1) * DAY)["Budget", ""]
        assert found.verdict.result.status in ("ok", "no_data"), found.verdict.result.message
    left = found.verdict.result.evidence.left
    assert abs(left - 1) < 0.25, "normal errors are free"
    world.send(_prices(rng, 2000, 20 * DAY, 21 * DAY, sigma=40))
    found = world.tick(21 * DAY)["Budget", ""]
    # 16 times the squared error of the reference, where 1.44 times are allowed: 15 / 0.44.
    assert found.verdict.result.status == "breach" and found.verdict.result.level == "critical"
    assert found.verdict.result.value == pytest.approx(15 / 0.44, rel=0.2)
    assert found.labels["severity"] == "critical"
    assert found.verdict.result.evidence.left < left - 1


def test_a_slow_burn_is_a_ticket_and_wakes_nobody() -> None:
    rng = np.random.default_rng(2)
    rule = "{alert: Budget, budget: rmse, worse_than_reference: 20%, over: 30d}"
    world = World(rule, reference=_reference(), window="6h", interval="6h")  # type: ignore[arg-type]
    for day in range(8):
        world.send(_prices(rng, 4000, day * DAY, (day + 1) * DAY, sigma=13.5))
    found = world.tick(8 * DAY)["Budget", ""]
    assert found.verdict.result.status == "breach" and found.verdict.result.level == ""
    assert 1 < found.verdict.result.value < 3


def test_an_integrity_objective_counts_predictions_with_a_broken_feature() -> None:
    rng = np.random.default_rng(3)
    rule = "{alert: Broken, budget: integrity, at_most: 1%, over: 30d}"
    world = World(rule, reference=_reference(), window="6h", interval="6h")  # type: ignore[arg-type]
    for day in range(6):
        world.predict(_prices(rng, 2000, day * DAY, (day + 1) * DAY))
    found = world.tick(6 * DAY)["Broken", ""]
    assert found.verdict.result.status == "ok"
    assert found.verdict.result.evidence.left > 0.9
    frame = _prices(rng, 2000, 6 * DAY, 7 * DAY)
    frame["town"] = frame["town"].where(rng.random(2000) > 0.3, None)
    world.predict(frame)
    found = world.tick(7 * DAY)["Broken", ""]
    assert found.verdict.result.status == "breach" and found.verdict.result.level == "critical"
    assert found.verdict.result.value == pytest.approx(30, rel=0.2)


# ---- champion and challenger


def test_a_challenger_is_compared_with_the_champion_on_the_same_predictions() -> None:
    rng = np.random.default_rng(4)
    world = World(
        "{alert: Challenger, performance: mae, worse_than_reference: 2%, min_coverage: 0%}",
        head="    reference: {version: champion}\n",
        reference=_reference(),
        window="1d",  # type: ignore[arg-type]
    )
    frame = world.send(_prices(rng, 1500, 0, DAY), "champion")
    error = frame["prediction"] - frame["truth"]
    world.predict(frame.assign(prediction=frame["truth"] + error * 1.05), "challenger")
    found = {a.target.version: a.verdict for a in _judged(world, DAY + HOUR)}
    assert (
        found["challenger"].result.status == "breach"
        and "on the same 1437 predictions" in found["challenger"].result.message
    )
    assert (found["champion"].result.status, found["champion"].result.reason) == ("no_data", "no_reference")


def test_a_challenger_without_common_predictions_is_compared_as_another_sample() -> None:
    rng = np.random.default_rng(5)
    world = World(
        "{alert: Challenger, performance: mae, worse_than_reference: 2%, min_coverage: 0%}",
        head="    reference: {version: champion}\n",
        reference=_reference(),  # type: ignore[arg-type]
    )
    world.send(_prices(rng, 1500, 0, DAY), "champion")
    world.send(_prices(rng, 1500, 0, DAY, sigma=10.5), "challenger")
    found = {a.target.version: a.verdict for a in _judged(world, DAY + HOUR)}
    assert found["challenger"].result.status == "ok", "five per cent in 1,500 other predictions may be chance"
    assert "same" not in found["challenger"].result.message


def _judged(world: World, time: int) -> list:
    world.tick(time)
    return world.engine.alerts()


# ---- maturity and revisions


def test_a_value_is_provisional_until_ground_truth_is_complete(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    world = World(
        "{alert: Error, performance: rmse, above: 20, min_ground_truth: 20, min_coverage: 10%}",
        path=tmp_path / "s.duckdb",
    )
    stages, coverages = [], []
    for day in range(40):
        n = 200
        frame = _prices(rng, n, day * DAY, (day + 1) * DAY)
        frame["delay"] = np.minimum(rng.exponential(2 * DAY, n), 9 * DAY).astype(np.int64)
        frame = world.predict(frame)
        world.tell(frame[rng.random(n) < 0.7])  # three in ten never come
        verdict = world.tick((day + 1) * DAY)["Error", ""].verdict
        stages.append(verdict.result.maturity)
        coverages.append(verdict.result.coverage)
    assert set(stages[5:]) == {"provisional"}, "the newest ripe window has much of its ground truth on the way"
    assert all(0.1 <= c <= 0.5 for c in coverages[5:])
    whole = world.engine.alerts()[0].id
    revisions = world.store.documents.revisions(whole, 10_000)
    by_window: dict[int, list[RevisionRow]] = {}
    for revision in revisions:
        by_window.setdefault(revision.end, []).append(revision)
    old = by_window[10 * DAY]
    known = [r.with_truth for r in old]
    assert known == sorted(known) and len(known) > 4
    assert [r.maturity for r in old][-1] == "final" and {r.maturity for r in old[:-1]} == {"provisional"}
    assert old[-1].with_truth == pytest.approx(140, abs=25)
    widths = [r.high - r.low for r in old if r.low is not None]
    assert widths[-1] < widths[0], "the interval narrows"
    delays = world.engine.groups["g", "m"].delays["1"]
    assert delays["0.5"] == pytest.approx(2 * np.log(2) * 86400, rel=0.25)
    assert delays["0.9"] == pytest.approx(2 * np.log(10) * 86400, rel=0.25)
    world.restart()
    world.tick(40 * DAY)
    assert world.store.documents.revisions(whole, 10_000) == revisions, "nothing is recorded twice"


def test_a_version_that_no_longer_predicts_is_judged_while_its_ground_truth_comes() -> None:
    rng = np.random.default_rng(7)
    world = World("{alert: Error, performance: rmse, above: 20}")
    for day in range(6):
        world.send(_prices(rng, 300, day * DAY, (day + 1) * DAY, delay=5 * DAY, sigma=40 if day == 5 else 10), "old")
    for day in range(6, 30):
        world.send(_prices(rng, 300, day * DAY, (day + 1) * DAY, delay=5 * DAY), "new")
        judged = {a.target.version: a for a in _judged(world, (day + 1) * DAY)}
        if day == 11:
            assert judged["old"].state.phase == "firing", "its last day was bad, which is known only now"
            assert judged["new"].verdict.result.status in ("no_data", "ok")
    assert set(judged) == {"new"}


def test_what_nobody_knows_yet_is_no_data() -> None:
    world = World("{alert: Error, performance: rmse, above: 20}")
    world.predict(_prices(np.random.default_rng(8), 300, 0, DAY))
    found = world.tick(DAY)
    assert (found["Error", ""].verdict.result.status, found["Error", ""].verdict.result.reason) == (
        "no_data",
        "too_little_ground_truth",
    )
    assert not firing(found)
