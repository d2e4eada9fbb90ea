"""Dashboards and alert rules: well-formed, and only about metrics that exist."""

from __future__ import annotations

import json
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana.expressions import DASHBOARDS, GRAFANA, alert_rules, expressions
from grafana.metrics import asked, declared
from peers.processes import require_peer

from otel_mlmon import semconv
from otel_mlmon.export.prometheus import metric_name

# From applications, through a Collector: on no dashboard, since a core dashboard must not depend on them.
NOT_SHOWN = {semconv.PREDICTIONS, semconv.SDK_DROPPED}
SERIES = declared()


@pytest.mark.parametrize(("file", "panel", "expression"), expressions())
def test_expressions_parse_and_name_only_declared_metrics_and_labels(file: str, panel: str, expression: str) -> None:
    found = asked(expression)
    assert found, f"{file}, {panel}: no metric in {expression}"
    for name, labels in found:
        assert name in SERIES, f"{file}, {panel}: unknown metric {name}"
        _, allowed = SERIES[name]
        assert labels <= allowed, f"{file}, {panel}: {name} has no label {', '.join(labels - allowed)}"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_classic_json_that_file_provisioning_takes(path: Path) -> None:
    board = json.loads(path.read_text())
    assert 36 <= board["schemaVersion"] <= 42
    assert "apiVersion" not in board, "the newer format is not accepted from files"
    assert board["uid"] == f"mlmon-{path.stem}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        assert panel["type"] == "row" or (panel["description"] and panel["datasource"]["uid"] == "${datasource}"), (
            panel["title"]
        )
    for one, other in combinations(board["panels"], 2):
        assert not _overlap(one["gridPos"], other["gridPos"]), (one["title"], other["title"])


def test_every_metric_is_shown_or_said_not_to_be() -> None:
    everything = "\n".join(expression for _, _, expression in expressions())
    for metric in semconv.METRICS:
        assert (metric_name(metric) in everything) != (metric in NOT_SHOWN), metric.name


def test_alert_rules_ask_the_provisioned_data_source() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yaml").read_text())["datasources"]
    uids = {source["uid"] for source in sources} | {"__expr__"}
    rules = list(alert_rules())
    assert len({rule["uid"] for rule in rules}) == len(rules) >= 7
    for rule in rules:
        assert {data["datasourceUid"] for data in rule["data"]} <= uids
        assert rule["noDataState"] in {"NoData", "Alerting", "OK"}


@pytest.mark.peers
@pytest.mark.parametrize(
    ("tool", "arguments", "file"),
    [
        ("otelcol", ["validate", "--config"], "collector.yaml"),
        ("promtool", ["check", "config", "--syntax-only"], "prometheus.yml"),
        ("amtool", ["check-config"], "alertmanager.yml"),
    ],
)
def test_the_configurations_in_deploy_are_valid(tool: str, arguments: list[str], file: str, tmp_path: Path) -> None:
    program = require_peer(tool)
    text = (GRAFANA.parent / "deploy" / file).read_text().replace("/var/lib/otelcol", str(tmp_path))
    (tmp_path / file).write_text(text)
    done = subprocess.run(
        [program, *arguments, tmp_path / file],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _overlap(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return (
        a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"]
    )
