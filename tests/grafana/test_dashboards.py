"""Dashboards load in any Grafana, say what they show, and ask only for what is exported."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from grafana.expressions import DASHBOARDS, expressions, panels, variables
from grafana.metrics import asked, declared, unaggregated

from otel_mlmon.wire.semconv import METRICS

# Metrics that no dashboard shows, each with the reason.
NOT_SHOWN: dict[str, str] = {}
UNITS = {"none", "short", "s", "bytes", "percentunit", "reqps", "rowsps", "sci"}
LOADED = {path: json.loads(path.read_text("utf-8")) for path in DASHBOARDS}
each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
each_expression = pytest.mark.parametrize(("file", "panel", "expr"), expressions())


def test_there_is_a_dashboard_for_each_question() -> None:
    assert {path.stem for path in DASHBOARDS} == {"fleet", "model", "drift", "integrity", "performance", "processor"}


def test_uids_are_unique_and_named_after_the_file() -> None:
    assert {path: body["uid"] for path, body in LOADED.items()} == {path: f"mlmon-{path.stem}" for path in DASHBOARDS}


@each_dashboard
def test_it_is_classic_json(path: Path) -> None:
    body = LOADED[path]
    assert 39 <= body["schemaVersion"] <= 41
    assert not {"apiVersion", "kind", "spec", "elements"} & body.keys()  # marks of the v2 format, which is not loaded
    assert not {"id", "__inputs"} & body.keys()  # marks of an export


@each_dashboard
def test_panels_have_ids_and_places_of_their_own(path: Path) -> None:
    shown = list(panels(LOADED[path]))
    assert len({panel["id"] for panel in shown}) == len(shown)
    cells: Counter[tuple[int, int]] = Counter()
    for place in (panel["gridPos"] for panel in shown):
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24, place
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells.update(itertools.product(columns, rows))
    assert cells.most_common(1)[0][1] == 1, "panels overlap"


@each_dashboard
def test_every_panel_says_what_it_shows_in_which_unit_and_asks_the_chosen_data_source(path: Path) -> None:
    for panel in panels(LOADED[path]):
        if panel["type"] == "row":
            continue
        assert len(panel["description"]) > 10, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@each_dashboard
def test_it_links_to_the_others_and_to_the_report_pages(path: Path) -> None:
    urls = {link.get("url") for link in LOADED[path]["links"]}
    tags = [link["tags"] for link in LOADED[path]["links"] if link["type"] == "dashboards"]
    assert "${report_url:raw}/alerts" in urls
    assert tags
    assert all(set(wanted) <= set(body["tags"]) for wanted in tags for body in LOADED.values())


@each_dashboard
def test_links_lead_to_dashboards_that_exist(path: Path) -> None:
    uids = {body["uid"] for body in LOADED.values()}
    assert set(re.findall(r'"/d/([\w-]+)', path.read_text("utf-8"))) <= uids


@each_dashboard
def test_every_variable_that_is_used_is_declared(path: Path) -> None:
    body = LOADED[path]
    known = {variable["name"] for variable in body["templating"]["list"]}
    own = {"__rate_interval", "__range"}
    used = {
        name
        for panel in panels(body)
        for text in [panel["title"], *(target["expr"] for target in panel.get("targets", ()))]
        for name in variables(text)
    }
    used |= {name for variable in body["templating"]["list"] for name in variables(_query(variable))}
    assert used - own <= known
    assert {"datasource", "report_url"} <= known


@each_dashboard
def test_choices_come_from_metrics_that_are_exported(path: Path) -> None:
    for variable in LOADED[path]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        found = re.fullmatch(r"label_values\((\w+(?:\{.*\})?), (\w+)\)", _query(variable))
        assert found, variable
        ((metric, labels),) = asked(found[1])
        assert labels | {found[2]} <= declared()[metric][1], variable
        # Otherwise Grafana does not escape the chosen value for a regular expression.
        assert variable["multi"], variable


@each_expression
def test_expression_asks_for_declared_metrics_and_labels(file: str, panel: str, expr: str) -> None:
    assert asked(expr)
    for metric, labels in asked(expr):
        assert metric in declared(), f"{metric} is not declared in semconv"
        assert labels <= declared()[metric][1], f"{metric} has no label {labels - declared()[metric][1]}"


@each_expression
def test_expression_shows_only_labels_of_ours(file: str, panel: str, expr: str) -> None:
    assert not unaggregated(expr), "the result would carry job and instance, which differ between scrape and push"


@each_dashboard
def test_what_applications_send_is_in_a_row_of_its_own(path: Path) -> None:
    here = ""
    for panel in panels(LOADED[path]):
        here = panel["title"] if panel["type"] == "row" else here
        for target in panel.get("targets", ()):
            if re.search("mlmon_predictions_total|mlmon_sdk_dropped_total", target["expr"]):
                assert path.stem == "processor"
                assert here.startswith("From the applications"), panel["title"]
                assert target["expr"].endswith("or on() vector(0)")


def test_every_metric_is_shown_or_left_out_for_a_reason() -> None:
    on_dashboards = [expr for file, _, expr in expressions() if file.endswith(".json")]
    shown = {declared()[metric][0].name for expr in on_dashboards for metric, _ in asked(expr)}
    assert shown.isdisjoint(NOT_SHOWN)
    assert shown | NOT_SHOWN.keys() == {metric.name for metric in METRICS}


@pytest.mark.parametrize(
    ("expr", "metric", "label"),
    [
        ("sum by (job) (mlmon_rule_value)", "mlmon_rule_value", "job"),
        ('sum(rate(mlmon_ingest_rows_total{outcome="stored"}[1m]))', "mlmon_ingest_rows_total", "outcome"),
        ("max(mlmon_rule_valeu) or vector(0)", "mlmon_rule_valeu", ""),
    ],
)
def test_a_wrong_name_would_be_found(expr: str, metric: str, label: str) -> None:
    ((name, labels),) = asked(expr)
    assert name == metric
    assert name not in declared() or label in labels - declared()[name][1]


def _query(variable: dict[str, Any]) -> str:
    query = variable.get("query", "")
    return str(query["query"] if isinstance(query, dict) else query)
