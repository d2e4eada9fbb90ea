"""Two years of bike sharing, replayed with the ground truth one week late."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from live import Serve, real
from sklearn.ensemble import HistGradientBoostingRegressor

from otel_mlmon.engine.alerts import alert_id
from otel_mlmon.values import Target

MLMON = str(Path(sys.executable).parent / "mlmon")
FEATURES = ["season", "hr", "holiday", "weekday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"]
DAY = 86_400 * 10**9
RULES = """
groups:
  - name: bikes
    model: bike-demand
    interval: 1d
    window: 7d
    segments: [workingday]
    rules:
      - {alert: DemandOff, performance: rmse, worse_than_reference: 50%, min_ground_truth: 20}
      - {alert: Bias, performance: bias, above: 150, min_ground_truth: 20}
      - {alert: TemperatureDrift, drift: psi, features: [temp], above: 0.2, min_rows: 100}
"""


@pytest.fixture(scope="module")
def bikes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model fitted to the first three months, and its predictions for the two years."""
    table = pd.read_csv(real("bike_sharing_hourly.csv"))
    table["at"] = pd.to_datetime(table["dteday"]) + pd.to_timedelta(table["hr"], unit="h")
    first = table["at"] < "2011-04-01"
    model = HistGradientBoostingRegressor(random_state=0).fit(table.loc[first, FEATURES], table.loc[first, "cnt"])
    table["predicted"] = model.predict(table[FEATURES])
    directory = tmp_path_factory.mktemp("bikes")
    table[["at", *FEATURES, "predicted", "cnt"]].to_parquet(directory / "log.parquet")
    table.loc[first, [*FEATURES, "predicted", "cnt"]].to_parquet(directory / "reference.parquet")
    return directory


def test_performance_windows_are_right_as_ground_truth_arrives(bikes: Path, serve: Serve) -> None:
    log = pd.read_parquet(bikes / "log.parquet")
    with serve(RULES, window={"pane": "1h", "lateness": "1h"}) as processor:
        _mlmon(
            "reference",
            "create",
            bikes / "reference.parquet",
            "--model",
            "bike-demand",
            "--prediction-column",
            "predicted",
            "--ground-truth-column",
            "cnt",
            "--segment",
            "workingday",
            "--processor",
            processor.web,
        )
        replay = (
            "replay",
            bikes / "log.parquet",
            "--model",
            "bike-demand",
            "--timestamp-column",
            "at",
            "--prediction-column",
            "predicted",
            "--ground-truth-column",
            "cnt",
            "--ground-truth-delay",
            "7d",
            "--endpoint",
            processor.otlp,
        )
        assert f"sent {len(log)} predictions and {len(log)} ground truths" in _mlmon(*replay)
        newest = int(log["at"].max().value)
        _wait(lambda: _last_tick(processor) >= (newest + 7 * DAY) // DAY * DAY)
        _mlmon(*replay)  # once more: nothing is stored twice
        status = processor.get("/api/v1/status")
    assert status["models"][0]["rows"] == len(log)
    assert status["ingest"]["duplicates"] == 2 * len(log)
    for segment, mask in {"": np.ones(len(log), bool), "workingday=0": (log["workingday"] == 0).to_numpy()}.items():
        measured = _history(processor.store, "DemandOff", segment)
        expected = {tick: value for tick, value in _direct(log, mask).items() if tick <= max(measured)}
        assert len(expected) > 400
        for tick, value in measured.items():
            if tick in expected:
                assert value == pytest.approx(expected[tick], rel=1e-9), pd.Timestamp(tick)
            else:
                assert value is None, "no figure before there is enough ground truth"


def _direct(log: pd.DataFrame, mask: np.ndarray[Any, Any]) -> dict[int, float]:
    """RMSE at each daily tick, of the newest week with ground truth of half of the predictions, and of 20, by then."""
    at = log["at"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    # Known at the end of the hour of its arrival.
    known = ((at + 7 * DAY) // (3600 * 10**9) + 1) * 3600 * 10**9
    squares = (log["predicted"] - log["cnt"]).to_numpy() ** 2
    found: dict[int, float] = {}
    first = at.min() // DAY * DAY + DAY
    for tick in range(first, at.max() + 8 * DAY, DAY):
        for end in range(tick, tick - 60 * DAY, -DAY):
            window = (at >= end - 7 * DAY) & (at < end)
            have = window & (known <= tick)
            if have.sum() >= 20 and have.sum() >= 0.5 * window.sum():
                mine, had = window & mask, have & mask
                if had.sum() >= 20 and had.sum() >= 0.5 * mine.sum():
                    found[tick] = float(np.sqrt(squares[had].mean()))
                break
    return found


def _history(store: Path, rule: str, segment: str) -> dict[int, float | None]:
    """Values by tick, from the file: the processor has stopped.

    The history holds the end of the judged window; the ticks are the days in order.
    """
    with duckdb.connect(str(store), read_only=True) as connection:
        id_ = alert_id("bikes", rule, Target("bike-demand", "", segment))
        rows = connection.execute(
            "SELECT value FROM mlmon_state.verdicts WHERE alert = ? ORDER BY rowid", [id_]
        ).fetchall()
        (oldest,) = connection.execute('SELECT min(_time) FROM predictions."bike-demand"').fetchall()[0]
    first = oldest // DAY * DAY + DAY
    return {first + index * DAY: value for index, (value,) in enumerate(rows)}


def _last_tick(processor: Any) -> int:
    for line in processor.metrics().splitlines():
        if line.startswith("mlmon_window_end_time_seconds{"):
            return int(float(line.rpartition(" ")[2]) * 1e9)
    return 0


def _wait(done: Any, deadline_s: float = 240.0) -> None:
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.2)


def _mlmon(*arguments: object) -> str:
    done = subprocess.run([MLMON, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
