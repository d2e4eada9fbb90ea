"""Every PromQL expression that Grafana would run, with its variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

GRAFANA = Path(__file__).parents[2] / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
ALERTS = GRAFANA / "provisioning" / "alerting" / "otel_mlmon.yaml"


def expressions() -> list[tuple[str, str, str]]:
    """(file, panel or rule, expression) of all dashboards and alert rules."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [(path.name, panel["title"], filled(target["expr"])) for target in panel.get("targets", [])]
    for rule in alert_rules():
        found += [(ALERTS.name, rule["title"], d["model"]["expr"]) for d in rule["data"] if "expr" in d["model"]]
    return found


def alert_rules() -> Iterator[dict[str, Any]]:
    """Provisioned alert rules."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def filled(expression: str) -> str:
    """Variables as Grafana would fill them in: everything, over the last minute."""
    expression = expression.replace("$__rate_interval", "1m").replace("$__interval", "15s")
    return re.sub(r"\$\{?\w+\}?", ".*", expression)
