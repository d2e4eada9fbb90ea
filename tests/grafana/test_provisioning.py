"""What Grafana reads at its start: data source, dashboards, alert rules."""

from __future__ import annotations

import json
from typing import Any

import promql_parser as promql
import pytest
import yaml
from grafana.expressions import ALERT_FILES, DASHBOARDS, ROOT, alert_rules, panels, substituted
from grafana.metrics import asked

from otel_mlmon.values import PHASE_CODE

PROVISIONING = ROOT / "grafana" / "provisioning"
RULES = [rule for path in ALERT_FILES for rule in alert_rules(path)]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])


def _loaded(folder: str) -> list[dict[str, Any]]:
    found = [yaml.safe_load(path.read_text("utf-8")) for path in sorted((PROVISIONING / folder).glob("*.yaml"))]
    assert found and all(body["apiVersion"] == 1 for body in found)
    return found


def test_the_data_source_has_a_fixed_uid() -> None:
    (source,) = [source for body in _loaded("datasources") for source in body["datasources"]]
    assert (source["uid"], source["type"], source["editable"]) == ("prometheus", "prometheus", False)


def test_dashboards_and_alerts_go_to_one_folder_and_compose_mounts_it() -> None:
    (provider,) = [provider for body in _loaded("dashboards") for provider in body["providers"]]
    assert {group["folder"] for body in _loaded("alerting") for group in body["groups"]} == {provider["folder"]}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    targets = [volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in targets
    assert "/etc/grafana/provisioning" in targets


def test_alert_uids_are_unique_and_short_enough() -> None:
    uids = [rule["uid"] for rule in RULES]
    assert len(set(uids)) == len(uids)
    assert max(map(len, uids)) <= 40


@each_rule
def test_alert_asks_a_data_source_that_exists_and_ends_in_its_threshold(rule: dict[str, Any]) -> None:
    sources = {source["uid"] for body in _loaded("datasources") for source in body["datasources"]}
    query, judged = rule["data"]
    assert query["datasourceUid"] in sources
    assert judged["datasourceUid"] == "__expr__"
    assert judged["refId"] == judged["model"]["refId"] == rule["condition"]
    assert judged["model"]["type"] == "threshold"
    assert judged["model"]["expression"] == query["refId"] == query["model"]["refId"]
    assert query["model"]["instant"] is True  # a range would have to be reduced first
    (condition,) = judged["model"]["conditions"]
    assert condition["evaluator"]["type"] in {"gt", "lt"}


@each_rule
def test_alert_is_not_a_comparison_that_filters_all_away(rule: dict[str, Any]) -> None:
    compared = []
    promql.walk(
        promql.parse(substituted(rule["data"][0]["model"]["expr"])),
        lambda node: compared.append(str(node.op)) if _filters(node) else None,
    )
    assert not {"==", "!=", ">", "<", ">=", "<="} & set(compared)


def _filters(node: object) -> bool:
    """Whether a comparison leaves out what does not hold; with `bool` it answers 0."""
    return isinstance(node, promql.BinaryExpr) and not (node.modifier is not None and node.modifier.return_bool)


def test_what_fires_is_alerted_and_what_another_alert_explains_is_not() -> None:
    (rule,) = [rule for rule in RULES if rule["uid"] == "mlmon-rule-firing"]
    query, judged = (part["model"] for part in rule["data"])
    assert query["expr"].endswith(f"(mlmon_alert_state == bool {PHASE_CODE['firing']})")
    assert judged["conditions"] == [{"evaluator": {"type": "gt", "params": [0]}}]


def test_exactly_one_alert_is_in_charge_of_no_data() -> None:
    assert [rule["uid"] for rule in RULES if rule["noDataState"] != "OK"] == ["mlmon-processor-gone"]
    assert {rule["execErrState"] for rule in RULES} == {"Error"}


@each_rule
def test_alert_links_to_a_panel_that_shows_its_metric(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    (dashboard,) = [
        body
        for body in (json.loads(path.read_text("utf-8")) for path in DASHBOARDS)
        if body["uid"] == notes["__dashboardUid__"]
    ]
    (panel,) = [panel for panel in panels(dashboard) if str(panel["id"]) == notes["__panelId__"]]
    shown = {name for target in panel["targets"] for name, _ in asked(substituted(target["expr"]))}
    assert {name for name, _ in asked(rule["data"][0]["model"]["expr"])} & shown
    assert notes["summary"] and notes["description"]
