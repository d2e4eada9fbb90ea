"""The example service on California housing: 20,000 requests by a real client, then six faults, each for a while."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from live import Processor, Serve, real
from peers.processes import answers, free_ports, run_process

from examples.house_prices.client import Client, broken

REQUESTS = 20_000
BIN = Path(sys.executable).parent
# Windows of seconds, so that the test does not wait for hours.
RULES = """
groups:
  - name: integrity
    model: house-prices
    interval: 1s
    window: 8s
    rules:
      - {alert: FeatureMissing, integrity: missing, above: 5%, min_rows: 100}
      - {alert: FeatureType, integrity: type, above: 5%, min_rows: 100}
      - {alert: OutOfRange, integrity: range, above: 4%, min_rows: 100}
      - alert: DefaultChanged
        integrity: default_value
        features: [total_bedrooms, households]
        above: 10%
        min_rows: 100
  - name: drift
    model: house-prices
    interval: 1s
    window: 8s
    rules:
      - {alert: IncomeDrift, drift: kolmogorov_smirnov, features: [median_income], above: 0.25, min_rows: 200}
  - name: performance
    model: house-prices
    interval: 1s
    window: 8s
    segments: [ocean_proximity]
    rules:
      - {alert: PricesOff, performance: mape, worse_than_reference: 150%, min_ground_truth: 40}
"""
# Fault → the alerts that must fire, and the only alerts that may fire.
EXPECTED = {
    "drop-field": {("FeatureMissing", "households", "")},
    "string": {("FeatureType", "housing_median_age", "")},
    "out-of-range": {("OutOfRange", "population", "")},
    "default": {("DefaultChanged", "total_bedrooms", "")},
    "region-prices": {("PricesOff", "", "ocean_proximity=INLAND")},
    "income-shift": {("IncomeDrift", "median_income", "")},
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's model, trained on half of the data."""
    out = tmp_path_factory.mktemp("house-prices")
    _run(sys.executable, "-m", "examples.house_prices.train", "--data", real("california_housing.csv"), "--out", out)
    return out


@contextmanager
def example_service(trained: Path, endpoint: str, log: Path) -> Iterator[str]:
    """The FastAPI example under uvicorn, exporting to `endpoint`."""
    (port,) = free_ports(1)
    environment = {
        "HOUSE_PRICES_DIR": str(trained),
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_METRICS_EXPORTER": "none",
    }
    before = {key: os.environ.get(key) for key in environment}
    os.environ.update(environment)
    try:
        argv = [str(BIN / "uvicorn"), "examples.house_prices.app:app", "--port", str(port), "--log-level", "warning"]
        with run_process(argv, ready=lambda: answers(port, "/healthz"), log=log, timeout=60):
            yield f"http://127.0.0.1:{port}"
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def test_faults_in_the_client_bring_the_right_alerts_and_no_others(trained: Path, serve: Serve, tmp_path: Path) -> None:
    houses = pd.read_csv(trained / "requests.csv").sample(frac=1.0, random_state=3).to_dict("records")
    endless = itertools.cycle(houses)
    with (
        serve(RULES, window={"pane": "1s", "lateness": "3s"}) as processor,
        example_service(trained, processor.otlp, tmp_path / "service.log") as url,
    ):
        _run(
            BIN / "mlmon",
            "reference",
            "create",
            trained / "validation.csv",
            "--model",
            "house-prices",
            "--prediction-column",
            "predicted",
            "--ground-truth-column",
            "median_house_value",
            "--segment",
            "ocean_proximity",
            "--processor",
            processor.web,
        )
        client = Client(url)
        sent = list(client.send(broken(itertools.islice(endless, REQUESTS), "none")))
        assert len(set(sent)) == REQUESTS
        _wait(lambda: processor.get("/api/v1/status")["models"][0]["rows"] == REQUESTS)
        status = processor.get("/api/v1/status")
        assert status["ingest"] == {"received": 2 * REQUESTS, "stored": 2 * REQUESTS, "duplicates": 0, "rejected": 0}
        exposed = processor.metrics()
        assert (
            'mlmon_rule_value{mlmon_model_name="house-prices",mlmon_model_version="1",mlmon_rule_group="performance"'
            in exposed
        )
        assert (
            'mlmon_prediction_duration_seconds_count{mlmon_model_name="house-prices",mlmon_model_version="1"} 20000'
            in exposed
        )
        assert _fired(processor) == set(), "nothing may fire before the first fault"
        for fault, expected in EXPECTED.items():
            fired: set[tuple[str, str, str]] = set()
            until = time.monotonic() + 60
            while not fired >= expected and time.monotonic() < until:
                sent += client.send(broken(itertools.islice(endless, 400), fault))
                fired |= _fired(processor)
            assert fired == expected, fault
            healthy = time.monotonic() + 90
            while _fired(processor):  # back to normal, until the last window has forgotten the fault
                assert time.monotonic() < healthy, f"{fault} does not resolve"
                sent += client.send(broken(itertools.islice(endless, 400), "none"))
                assert _fired(processor) <= expected
        _wait(lambda: processor.get("/api/v1/status")["models"][0]["rows"] == len(sent))
    with duckdb.connect(str(processor.store), read_only=True) as connection:
        rows, ids = connection.execute(
            'SELECT count(*), count(DISTINCT _id) FROM predictions."house-prices"'
        ).fetchall()[0]
        (truths,) = connection.execute("SELECT count(DISTINCT prediction_id) FROM mlmon_state.ground_truth").fetchall()[
            0
        ]
        stored = {id_ for (id_,) in connection.execute('SELECT _id FROM predictions."house-prices"').fetchall()}
    assert rows == ids == truths == len(sent)
    assert stored == set(sent)


def _fired(processor: Processor) -> set[tuple[str, str, str]]:
    """Alerts that fire now: (rule, feature, segment)."""
    alerts: list[dict[str, Any]] = processor.get("/api/v1/alerts")
    return {
        (alert["rule"], alert["target"]["field"], alert["target"]["segment"])
        for alert in alerts
        if alert["state"]["phase"] == "firing"
    }


def _wait(done: Callable[[], bool], deadline_s: float = 60.0) -> None:
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


def _run(*argv: object) -> None:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
