"""Ground truth that comes four weeks late; two in five never come: at random, or where the error is large."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from e2e.live import real
from engine.world import DAY, World, spread
from references import reference_of
from sklearn.ensemble import HistGradientBoostingRegressor

from otel_mlmon.values import Reference

FEATURES = ["longitude", "latitude", "housing_median_age", "total_rooms", "population", "households", "median_income"]
RULE = "{alert: PricesOff, performance: rmse, worse_than_reference: 20%, confidence: 97.5%}"  # so its interval has 95 %
WEEK = 7 * DAY


@cache
def _data() -> tuple[Reference, pd.DataFrame]:
    table = pd.read_csv(real("california_housing.csv")).dropna().sample(frac=1.0, random_state=0).reset_index(drop=True)
    value = table["median_house_value"]
    model = HistGradientBoostingRegressor(random_state=0).fit(table.loc[:7999, FEATURES], value[:8000])
    rest = table.loc[8000:, FEATURES].assign(prediction=model.predict(table.loc[8000:, FEATURES]), truth=value[8000:])
    return reference_of(rest[:5000], prediction="prediction", ground_truth="truth"), rest[5000:].reset_index(drop=True)


def _world(missing_where_large: bool, seed: int) -> tuple[World, pd.DataFrame]:
    reference, live = _data()
    rng = np.random.default_rng(seed)
    frame = live.sample(frac=1.0, random_state=seed).reset_index(drop=True)
    frame["time"] = spread(len(frame), 0, 5 * WEEK)
    frame["delay"] = (rng.normal(28, 1, len(frame)) * DAY).astype(np.int64)
    error = (frame["prediction"] - frame["truth"]).abs()
    rank = error.rank(pct=True) if missing_where_large else pd.Series(rng.random(len(frame)))
    # Large errors are missing with nine in ten, the others seldom: two in five in all.
    frame["missing"] = rank + (rng.normal(0, 0.1, len(frame)) if missing_where_large else 0) > 0.6
    world = World(RULE, window="7d", interval="7d", reference=reference, pane=DAY, horizon=100 * DAY)
    sent = world.predict(frame.drop(columns="missing"))
    world.tell(sent[~frame["missing"]])
    return world, frame


def _rmse(frame: pd.DataFrame) -> float:
    return float(np.sqrt(((frame["prediction"] - frame["truth"]) ** 2).mean()))


def test_missing_at_random_leaves_figures_and_intervals_right_and_nothing_is_said() -> None:
    covered = windows = biased = 0
    for seed in range(6):
        world, frame = _world(False, seed)
        for week in (2, 4, *range(8, 15)):
            verdict = world.tick(week * WEEK)["PricesOff", ""].verdict
            if week < 5:
                assert verdict.result.status == "no_data", "no label is known in the first four weeks"
        assert verdict.result.coverage == pytest.approx(0.6, abs=0.05)
        assert verdict.result.maturity == "final"
        for revision in world.store.documents.revisions(world.engine.alerts()[0].id, 1000):
            if revision.maturity == "final":
                part = frame[(frame["time"] >= revision.start) & (frame["time"] < revision.end)]
                covered += revision.low <= _rmse(part) <= revision.high
                windows += 1
        biased += world.engine.groups["g", "m"].biased.get("1", False)
        world.store.close()
    assert windows >= 5 * 6
    assert covered / windows >= 0.95
    assert biased <= 1


def test_missing_where_the_error_is_large_is_warned_of_and_corrected_for() -> None:
    plain, corrected = [], []
    for seed in range(3):
        world, frame = _world(True, seed)
        for week in (7, 10):
            verdict = world.tick(week * WEEK)["PricesOff", ""].verdict
        assert verdict.result.coverage == pytest.approx(0.6, abs=0.05)
        assert world.engine.groups["g", "m"].biased["1"]
        assert "are not like" in verdict.result.message
        told = verdict.result.evidence.selection
        assert told.biased and told.fields
        part = frame[(frame["time"] >= verdict.start) & (frame["time"] < verdict.end)]
        truth = _rmse(part)
        plain.append(abs(verdict.result.value / truth - 1))
        corrected.append(abs(told.corrected / truth - 1))
        world.store.close()
    # What no feature shows cannot be corrected for: better, not right.
    assert np.mean(corrected) < np.mean(plain)
