"""Every PromQL expression of the dashboards and of the provisioned alert rules, ready for a Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
ALERT_FILES = sorted((ROOT / "grafana" / "provisioning" / "alerting").glob("*.yaml"))
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")


def expressions() -> list[tuple[str, str, str]]:
    """(file, panel or alert rule, expression). Grafana's intervals are one minute, other variables match anything."""
    found = []
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text("utf-8"))
        found += [
            (path.name, f"{panel['title']} {target['refId']}", substituted(target["expr"]))
            for panel in panels(dashboard)
            for target in panel.get("targets", ())
        ]
    for path in ALERT_FILES:
        found += [
            (path.name, f"{rule['title']} {query['refId']}", substituted(query["model"]["expr"]))
            for rule in alert_rules(path)
            for query in rule["data"]
            if query["datasourceUid"] != "__expr__"
        ]
    return found


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Panels, those folded into a row included."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def alert_rules(path: Path) -> Iterator[dict[str, Any]]:
    """The rules of one provisioning file."""
    for group in yaml.safe_load(path.read_text("utf-8"))["groups"]:
        yield from group["rules"]


def variables(expr: str) -> set[str]:
    """Names of the Grafana variables in an expression."""
    return {found[1] or found[2] for found in _VARIABLE.finditer(expr)}


def substituted(expr: str) -> str:
    """An expression without Grafana variables."""
    return _VARIABLE.sub(lambda found: "1m" if (found[1] or found[2]).startswith("__") else ".*", expr)
