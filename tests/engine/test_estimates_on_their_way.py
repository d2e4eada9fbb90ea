"""Estimates in the engine: made before the ground truth, kept, scored when it is final, trusted while right."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from engine.world import DAY, World, spread

from otel_mlmon.ingest.counters import Counters
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.server.snapshot import Snapshot
from otel_mlmon.values import Reference

RULE = "{alert: ErrorWillGrow, estimate: rmse, worse_than_reference: 10%, confidence: 95%}"


def _houses(rng: np.random.Generator, n: int, start: int, *, old: float = 0.3, factor: float = 1.0) -> pd.DataFrame:
    """Prices of old houses are known three times worse than those of new ones."""
    aged = rng.random(n) < old
    area = rng.normal(100, 20, n)
    return pd.DataFrame(
        {
            "time": spread(n, start, start + DAY),
            "area": area,
            "age": np.where(aged, rng.uniform(50, 90, n), rng.uniform(0, 40, n)),
            "prediction": 3 * area,
            "truth": 3 * area + factor * rng.normal(0, np.where(aged, 30, 10)),
            "delay": 3 * DAY,
        }
    )


@cache
def _reference() -> Reference:
    frame = _houses(np.random.default_rng(0), 8000, 0).drop(columns=["time", "delay"])
    columns = Columns("prediction", "truth")
    rows = rows_of(Path("f"), pa.Table.from_pandas(frame, preserve_index=False), columns, "m", "")
    made = create_reference(rows, name="training", version="", segments=(), source="", created="")
    made, why = with_estimators(made, rows)
    assert not why
    return made


def _metrics(world: World) -> dict[str, float]:
    found = Snapshot(world.engine, Counters(), list).metrics()
    return {
        metric.name: points[0].value for metric, points in found if points and metric.name.startswith("mlmon.estimate")
    }  # type: ignore[misc]


def test_estimates_are_kept_scored_and_believed_while_they_are_right(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    world = World(RULE, reference=_reference(), path=tmp_path / "s.duckdb")
    for day in range(24):
        if day == 12:
            world.restart()
        world.send(_houses(rng, 800, day * DAY, old=0.3 if day < 20 else 0.9))
        alert = world.tick((day + 1) * DAY)["ErrorWillGrow", ""]
        verdict = alert.verdict
        assert verdict.result.low is not None and verdict.result.low <= verdict.result.value <= verdict.result.high
        if day < 20:
            assert verdict.result.status == "ok", verdict.result.message
    # Nine in ten houses are old: the error that is to be expected is known on the same day.
    assert alert.state.phase == "firing"
    assert verdict.result.value == pytest.approx(np.sqrt(0.9 * 900 + 0.1 * 100), rel=0.1)
    entries = world.store.documents.estimates(alert.id)
    assert [e.end for e in entries] == [(day + 1) * DAY for day in range(24)], "one a window, restarts included"
    scored = [e for e in entries if e.scored]
    assert len(scored) >= 12 and all(e.scored >= e.end + 3 * DAY for e in scored)
    assert all(e.coverage == 1.0 and e.with_truth == 800 for e in scored)
    assert sum(e.side() == 0 for e in scored) >= 0.8 * len(scored)
    metrics = _metrics(world)
    assert metrics["mlmon.estimate.trusted"] == 1.0
    assert metrics["mlmon.estimate.checked"] == scored[-1].estimate
    assert metrics["mlmon.estimate.realised"] == scored[-1].realised


def test_a_wrong_estimator_says_so_and_raises_no_alerts_until_it_is_right_again() -> None:
    rng = np.random.default_rng(2)
    world = World(RULE, reference=_reference())
    reasons = []
    for day in range(44):
        # From day 10 to 20 the truth is another one for the same inputs, which no input shows.
        world.send(
            _houses(rng, 800, day * DAY, factor=2.0 if 10 <= day < 20 else 1.0, old=0.9 if 22 <= day < 24 else 0.3)
        )
        verdict = world.tick((day + 1) * DAY)["ErrorWillGrow", ""].verdict
        reasons.append(verdict.result.reason)
        if verdict.result.reason == "estimator_unreliable":
            assert verdict.result.status == "no_data" and "has been wrong" in verdict.result.message
            assert _metrics(world)["mlmon.estimate.trusted"] == 0.0
    assert "estimator_unreliable" not in reasons[:12]
    assert set(reasons[18:24]) == {"estimator_unreliable"}, "though the inputs of days 22 and 23 are bad"
    assert reasons[-1] == "within_threshold", "five estimates in a row were right"
