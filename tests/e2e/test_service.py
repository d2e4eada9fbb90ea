"""A running processor: bad input, reloads, and a kill."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import requests
from live import Processor, Serve

from otel_mlmon.lab.replay import provider_to
from otel_mlmon.sdk.monitor import Monitor

RULES = """
groups:
  - name: live
    model: live
    interval: 1s
    window: 5s
    rules:
      - {alert: Missing, integrity: missing, above: 5%, min_rows: 20, keep_firing_for: 1h}
"""
WINDOW = {"pane": "1s", "lateness": "1s"}


def _send(processor: Processor, n: int, **features: object) -> list[str]:
    provider = provider_to(processor.otlp)
    monitor = Monitor("live", "1", logger_provider=provider, flush_interval_s=60)
    ids = [monitor.record({"always": 1.0, **features}, 1.0) for _ in range(n)]
    assert monitor.flush()
    monitor.close()
    provider.shutdown()
    return ids


def _wait(done: Callable[[], object], deadline_s: float = 30.0) -> None:
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


def _firing(processor: Processor) -> list[str]:
    return [a["target"]["field"] for a in processor.get("/api/v1/alerts") if a["state"]["phase"] == "firing"]


def _rows(processor: Processor) -> int:
    return sum(model["rows"] for model in processor.get("/api/v1/status")["models"])


def test_bad_requests_are_counted_and_the_service_goes_on(serve: Serve) -> None:
    with serve(RULES, window=WINDOW) as processor:
        before = _rejected_requests(processor)  # the question whether it is up was one
        for body in (b"not OTLP", b"\x0a\xff", b""):
            requests.post(
                f"{processor.otlp}/v1/logs", data=body, headers={"Content-Type": "application/x-protobuf"}, timeout=10
            )
        wrong = {
            "resourceLogs": [
                {
                    "scopeLogs": [
                        {
                            "logRecords": [
                                {
                                    "eventName": "mlmon.prediction",
                                    "attributes": [
                                        {"key": "mlmon.model.name", "value": {"stringValue": "live"}},
                                        {"key": "mlmon.features", "value": {"stringValue": "x=1"}},
                                    ],
                                }
                            ]
                        }
                    ]
                }
            ]
        }
        answer = requests.post(f"{processor.otlp}/v1/logs", json=wrong, timeout=10)
        assert answer.json()["partialSuccess"]["rejectedLogRecords"] == "1"
        assert "allowed is a map" in answer.json()["partialSuccess"]["errorMessage"]
        _send(processor, 30)
        assert processor.get("/api/v1/status")["ingest"] == {
            "received": 31,
            "stored": 30,
            "duplicates": 0,
            "rejected": 1,
        }
        assert _rejected_requests(processor) - before == 2
        exposed = processor.metrics()
        assert 'mlmon_ingest_rows_total{mlmon_outcome="rejected",mlmon_reason="bad_features"} 1' in exposed


def _rejected_requests(processor: Processor) -> int:
    counter = r'mlmon_ingest_requests_total{mlmon_outcome="rejected",mlmon_signal="logs",mlmon_transport="http"} (\d+)'
    found = re.search(counter, processor.metrics())
    return int(found[1]) if found else 0


def test_rules_are_reloaded_by_change_and_by_signal_all_or_nothing(serve: Serve, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    with serve(RULES, window=WINDOW) as processor:
        rules.write_text(RULES.replace("above: 5%", "abvoe: 5%"))
        _wait(lambda: "mlmon_rules_reload_success 0" in processor.metrics())
        assert [rule["rule"] for rule in processor.get("/api/v1/status")["rules"]] == ["Missing"], "the old ones stay"
        assert "rules.yaml:8:46:" in (tmp_path / "mlmon.log").read_text()
        rules.write_text(RULES + "      - {alert: Wrong, integrity: type}\n")
        os.kill(processor.pid, signal.SIGHUP)
        _wait(lambda: len(processor.get("/api/v1/status")["rules"]) == 2)
        assert "mlmon_rules_reload_success 1" in processor.metrics()


def test_rows_and_alerts_survive_kill_9(serve: Serve) -> None:
    with serve(RULES, window=WINDOW) as processor:
        _send(processor, 100, sometimes=1.0)
        _send(processor, 100)
        _wait(lambda: _firing(processor) == ["sometimes"])
        before = processor.get("/api/v1/alerts")[0]
        _send(processor, 50)  # committed and not yet in any window
        os.kill(processor.pid, signal.SIGKILL)
        time.sleep(0.5)
    with serve(RULES, window=WINDOW) as processor:
        assert _rows(processor) == 250
        (after,) = processor.get("/api/v1/alerts")
        assert (after["id"], after["state"]["phase"]) == (before["id"], "firing")
        assert after["state"]["fired_at"] == before["state"]["fired_at"], "it did not fire anew"
        _send(processor, 100, sometimes=1.0)
        _wait(
            lambda: (
                (
                    'mlmon_window_rows{mlmon_model_name="live",mlmon_rule_group="live",'
                    'mlmon_model_version="1",mlmon_segment=""} 100'
                )
                in processor.metrics()
            )
        )
        assert _rows(processor) == 350
