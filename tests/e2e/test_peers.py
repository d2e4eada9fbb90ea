"""The whole chain with its real peers: Node's SDK, Collector, processor, Prometheus, Alertmanager, Chromium."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from grafana.expressions import expressions
from live import Processor, Serve
from peers.processes import alertmanager, chromium_screenshot, collector, find_peer, prometheus, require_peer

from otel_mlmon.lab.replay import provider_to
from otel_mlmon.sdk.monitor import Monitor

pytestmark = pytest.mark.peers
SECOND = 10**9
RULES = """
groups:
  - name: integrity
    model: "*"
    interval: 2s
    window: 10s
    rules:
      - {alert: FeatureMissing, integrity: missing, above: 5%, annotations: {summary: "{{ feature }} is missing"}}
      - {alert: FeatureType, integrity: type}
      - {alert: OutOfRange, integrity: range, above: 5%}
      - {alert: DefaultChanged, integrity: default_value, above: 50%}
  - name: drift
    model: "*"
    interval: 2s
    window: 10s
    rules:
      - {alert: Drift, drift: psi, above: 0.5, min_rows: 100}
      - {alert: PredictionDrift, drift: jensen_shannon, outputs: [prediction], above: 0.5, min_rows: 100}
  - name: performance
    model: "*"
    interval: 2s
    window: 10s
    segments: [town]
    rules:
      - {alert: PricesOff, performance: rmse, worse_than_reference: 100%, min_ground_truth: 20}
      - {alert: WeakSpots, slices: rmse, worse_than_reference: 100%}
      - {alert: TownsApart, fairness: rmse, above: 100%}
      - {alert: PriceBudget, budget: integrity, at_most: 5%, over: 2m}
      - {alert: AnotherModel, parity: rate}
      - {alert: AnotherModelByFar, parity: size}
"""
WINDOW = {"pane": "1s", "lateness": "1s"}
TO_PROCESSOR = """
exporters:
  otlp_grpc:
    endpoint: 127.0.0.1:{grpc}
    tls: {{insecure: true}}
    timeout: 30s
    retry_on_failure: {{max_elapsed_time: 0}}
    sending_queue: {{storage: file_storage}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 512}}
service:
  pipelines:
    logs: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp_grpc]}}
    traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp_grpc]}}
"""


@pytest.mark.parametrize("mode", ["logs", "spans"])
def test_predictions_of_nodes_sdk_through_a_collector_are_monitored_like_ours(
    mode: str, serve: Serve, tmp_path: Path
) -> None:
    client = require_peer("node-client")
    with (
        serve(RULES, window=WINDOW) as processor,
        collector(TO_PROCESSOR.format(grpc=processor.grpc_port), tmp_path) as relay,
    ):
        arguments = ["--endpoint", relay.url, "--count", "300", "--mode", mode, "--model", "node-model"]
        subprocess.run(["node", str(client), *arguments], check=True, timeout=120)
        _wait(lambda: _rows(processor, "node-model") == 300)
        # Verdicts on each of its features, of the version that it named.
        _wait(lambda: processor.metrics().count('mlmon_rule_status{mlmon_model_name="node-model"') >= 8)
    import duckdb

    with duckdb.connect(str(processor.store), read_only=True) as connection:
        ids = connection.execute('SELECT count(DISTINCT _id), min(_id) FROM predictions."node-model"').fetchall()
        states = connection.execute('SELECT DISTINCT _states FROM predictions."node-model"').fetchall()
    assert ids == [(300, f"node-{mode}-0")]
    # A float, an integer, a text, a truth value and the prediction keep their JavaScript types.
    assert [sorted(text) for (text,) in states] == [sorted("fisbf")]


def test_collector_keeps_refused_rows_and_none_is_stored_twice(serve: Serve, tmp_path: Path) -> None:
    client = require_peer("node-client")
    with serve(RULES, window=WINDOW) as processor:
        ports = (processor.grpc_port, processor.http_port, processor.web_port)
    with collector(TO_PROCESSOR.format(grpc=ports[0]), tmp_path) as relay:
        arguments = ["--endpoint", relay.url, "--count", "500", "--mode", "logs", "--model", "node-model"]
        subprocess.run(["node", str(client), *arguments], check=True, timeout=120)  # the processor is down
        with serve(RULES, ports=ports, window=WINDOW) as processor:
            _wait(lambda: _rows(processor, "node-model") == 500)
            subprocess.run(["node", str(client), *arguments], check=True, timeout=120)  # the same ids again
            _wait(lambda: processor.get("/api/v1/status")["ingest"]["duplicates"] == 500)
            assert _rows(processor, "node-model") == 500


# Of these there is nothing until windows are final: tests/outcomes has them.
TAKES_WEEKS = ("mlmon_estimate_",)


def test_prometheus_alertmanager_and_the_dashboards_see_an_incident_and_its_end(serve: Serve, tmp_path: Path) -> None:
    promtool = require_peer("promtool")
    reference = tmp_path / "valid.csv"
    rng = random.Random(0)
    reference.write_text(
        "income,rooms,town,predicted,price\n"
        + "".join(
            f"{h['income']},{h['rooms']},{h['town']},{_price(h)},{_price(h) + rng.gauss(0, 1)}\n"
            for h in (_house(rng) for _ in range(2000))
        )
    )
    with (
        alertmanager(tmp_path) as manager,
        serve(RULES, window=WINDOW, export={"alertmanager": [manager.url], "resend": "2s"}) as processor,
        prometheus(tmp_path, processor.web_port) as server,
    ):
        _create_reference(processor, reference)
        provider = provider_to(processor.otlp)
        monitor = Monitor(
            "town-prices", "7", logger_provider=provider, flush_interval_s=60, shadow=_intended, shadow_rate=1.0
        )
        shot = tmp_path / "report.png"
        try:
            _send(monitor, rng, 6, broken=False)
            assert not manager.alerts()
            _send_until(monitor, rng, broken=True, done=lambda: bool(_named(manager.alerts(), "FeatureMissing")))
            alert = _named(manager.alerts(), "FeatureMissing")[0]
            assert alert["labels"]["feature"] == "rooms"
            assert alert["annotations"]["summary"] == "rooms is missing"
            report = requests.get(alert["annotations"]["report"], timeout=10)
            assert report.status_code == 200
            assert "rooms" in report.text
            if find_peer("chromium") or os.environ.get("MLMON_REQUIRE_PEERS") == "1":
                chromium_screenshot(alert["annotations"]["report"], shot, 900, 1400)
                assert shot.stat().st_size > 20_000
            _send_until(monitor, rng, broken=True, done=lambda: bool(server.query("mlmon_alert_state == 2")))
            checked = subprocess.run(
                [promtool, "check", "metrics"], input=processor.metrics(), capture_output=True, text=True, check=False
            )
            assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
            _send(monitor, rng, 4, broken=True)
            empty = [
                (file, panel, expr)
                for file, panel, expr in expressions()
                if not server.query(expr) and not any(name in expr for name in TAKES_WEEKS)
            ]
            assert empty == [], "every expression of every dashboard and alert rule returns data"
            _send_until(monitor, rng, broken=False, done=lambda: not _named(manager.alerts(), "FeatureMissing"))
        finally:
            monitor.close()
            provider.shutdown()


def _house(rng: random.Random) -> dict[str, Any]:
    return {"income": rng.gauss(50, 10), "rooms": float(rng.randint(1, 6)), "town": rng.choice(["north", "south"])}


def _price(house: Mapping[Any, Any]) -> float:
    return float(3 * house["income"] + 10 * house["rooms"])


def _intended(house: Mapping[Any, Any]) -> float:
    """Predict from logged features, which may lack the rooms."""
    return _price({"rooms": 3.5, **house})


def _send(monitor: Monitor, rng: random.Random, seconds: int, *, broken: bool) -> None:
    """Live predictions, sixty a second, with their ground truths; broken: without `rooms`."""
    for _ in range(seconds):
        for _ in range(60):
            house = _house(rng)
            price = _price(house)
            if broken:
                del house["rooms"]
            monitor.ground_truth(monitor.record(house, price, duration=0.002), price + rng.gauss(0, 1))
        assert monitor.flush()
        time.sleep(1)


def _send_until(monitor: Monitor, rng: random.Random, *, broken: bool, done: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not done():
        assert time.monotonic() < until, "not in time"
        _send(monitor, rng, 1, broken=broken)


def _named(alerts: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [alert for alert in alerts if alert["labels"]["alertname"] == name]


def _create_reference(processor: Processor, path: Path) -> None:
    from click.testing import CliRunner

    from otel_mlmon.cli.main import cli

    done = CliRunner().invoke(
        cli,
        [
            "reference",
            "create",
            str(path),
            "--model",
            "town-prices",
            "--prediction-column",
            "predicted",
            "--ground-truth-column",
            "price",
            "--segment",
            "town",
            "--processor",
            processor.web,
        ],
    )
    assert done.exit_code == 0, done.output


def _rows(processor: Processor, model: str) -> int:
    return sum(m["rows"] for m in processor.get("/api/v1/status")["models"] if m["model"] == model)


def _wait(done: Callable[[], bool], deadline_s: float = 60.0) -> None:
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.2)
