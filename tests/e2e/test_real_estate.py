"""A price model that is good on average and bad in three neighbourhoods, through the real processor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from live import Processor, Serve

from otel_mlmon import Monitor
from otel_mlmon.lab.replay import provider_to

MLMON = str(Path(sys.executable).parent / "mlmon")
DAY = 86_400 * 10**9
START = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 10**9
BAD = {"Harbour", "Lakeside", "Old Mill"}
TOWN = [*sorted(BAD), *(f"District {i}" for i in range(21))]
RULES = """
groups:
  - name: houses
    model: house-prices
    interval: 1d
    window: 1d
    segments: [neighbourhood]
    rules:
      - {alert: PricesOff, performance: rmse, worse_than_reference: 15%, min_ground_truth: 100}
      - {alert: WeakSpots, slices: rmse, min_ground_truth: 1000}
"""


def houses(rng: np.random.Generator, counts: dict[str, int], factor: dict[str, float]) -> pd.DataFrame:
    """Make houses with features that depend on the neighbourhood, a model's prices, and the sale prices."""
    town = np.repeat(list(counts), list(counts.values()))
    place = np.array([TOWN.index(name) for name in town])
    n = len(town)
    area = rng.lognormal(4.6, 0.3, n)
    frame = pd.DataFrame(
        {
            "neighbourhood": town,
            "latitude": 47 + place // 6 * 0.02 + rng.normal(0, 0.004, n),
            "longitude": 9 + place % 6 * 0.03 + rng.normal(0, 0.006, n),
            "area": area.round(1),
            "rooms": np.clip((area / 25).round() + rng.integers(-1, 2, n), 1, None),
            "age": rng.integers(0, 90, n),
        }
    )
    frame["price"] = (3 * area + 20 * frame["rooms"] - 0.5 * frame["age"]) * (0.8 + place % 5 / 10)
    market = frame["neighbourhood"].map(factor).fillna(1.0)
    frame["sold"] = frame["price"] * market * rng.normal(1, 0.2, n)
    return frame.sample(frac=1.0, random_state=1).reset_index(drop=True)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("houses") / "validation.parquet"
    houses(np.random.default_rng(0), dict.fromkeys(TOWN, 700), {}).to_parquet(path)
    return path


def _run(*arguments: object) -> str:
    done = subprocess.run([MLMON, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _day(processor: Processor, monitor: Monitor, frame: pd.DataFrame, day: int) -> None:
    """Send a day's predictions by the SDK, and the sale prices by plain HTTP, an hour later."""
    times = START + day * DAY + np.linspace(0, 0.9 * DAY, len(frame)).astype(np.int64)
    ids = [f"{day}-{i}" for i in range(len(frame))]
    features = ["neighbourhood", "latitude", "longitude", "area", "rooms", "age"]
    monitor.record_batch(frame[features], frame["price"].tolist(), ids=ids, timestamps=times.tolist())
    assert monitor.flush(60)
    lines = "\n".join(
        json.dumps({"prediction_id": id_, "ground_truth": float(value), "time": int(at + 3600 * 10**9) / 1e9})
        for id_, value, at in zip(ids, frame["sold"], times, strict=True)
    )
    answer = requests.post(
        f"{processor.otlp}/v1/ground-truth",
        params={"model": "house-prices", "time": "time"},
        data=lines.encode(),
        headers={"Content-Type": "application/x-ndjson"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["stored"] == len(frame)


def _judged(processor: Processor, day: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the alerts by (rule, segment) after the window of `day` was judged."""
    end = START + (day + 1) * DAY
    until = time.monotonic() + 120
    while _last_tick(processor) < end:
        assert time.monotonic() < until, "not judged in time"
        time.sleep(0.2)
    time.sleep(3.0)  # it is counted from its beginning
    alerts = processor.get("/api/v1/alerts")
    return {(a["rule"], a["target"]["segment"]): a for a in alerts if a["state"]["phase"] == "firing"}


def _last_tick(processor: Processor) -> float:
    lines = [x for x in processor.metrics().splitlines() if x.startswith("mlmon_window_end_time_seconds{")]
    return min((float(x.rpartition(" ")[2]) * 1e9 for x in lines), default=0.0)


def test_three_neighbourhoods_off_by_30_percent_are_named_and_no_others(reference: Path, serve: Serve) -> None:
    rng = np.random.default_rng(5)
    few = dict.fromkeys(BAD, 200)
    counts = few | dict.fromkeys([name for name in TOWN if name not in BAD], 2_200)
    with serve(RULES, window={"pane": "1h", "lateness": "1h"}) as processor:
        _run(
            "reference",
            "create",
            reference,
            "--model",
            "house-prices",
            "--prediction-column",
            "price",
            "--ground-truth-column",
            "sold",
            "--segment",
            "neighbourhood",
            "--processor",
            processor.web,
        )
        provider = provider_to(processor.otlp)
        monitor = Monitor("house-prices", "7", logger_provider=provider, flush_interval_s=60, max_buffer_rows=200_000)
        _day(processor, monitor, houses(rng, counts, {}), 0)
        bad = houses(rng, counts, dict.fromkeys(BAD, 1.3))
        _day(processor, monitor, bad, 1)
        _day(processor, monitor, houses(rng, dict.fromkeys(TOWN, 20), {}), 2)
        monitor.close()
        provider.shutdown()
        fired = _judged(processor, 1)
        whole = _whole(processor, "PricesOff", reference)
        assert {segment.partition("=")[2] for rule, segment in fired if rule == "PricesOff"} == BAD
        slices = fired["WeakSpots", ""]["verdict"]["evidence"]["slices"]
        assert {part["where"] for part in slices} == {f"neighbourhood = {name}" for name in BAD}
        explained = json.loads(_run("explain", fired["WeakSpots", ""]["id"], "--json", "--processor", processor.web))
        text = json.dumps(explained)
        assert all(name in text for name in BAD)
    assert abs(whole - 1) < 0.03, "fine on average"


def _whole(processor: Processor, rule: str, reference: Path) -> float:
    """RMSE of the whole relative to the reference's."""
    validation = pd.read_parquet(reference)
    before = float(np.sqrt(((validation["price"] - validation["sold"]) ** 2).mean()))
    values = [
        float(line.rpartition(" ")[2])
        for line in processor.metrics().splitlines()
        if line.startswith("mlmon_rule_value{") and f'mlmon_rule_name="{rule}"' in line and 'mlmon_segment=""' in line
    ]
    assert len(values) == 1
    return values[0] / before
