"""`mlmon explain` and the report page, of a real processor, on data whose names are hostile."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from diagnosis.towns import houses
from e2e.live import Processor, Serve
from peers.processes import chromium_screenshot, require_peer

from otel_mlmon.cli.explain import chosen
from otel_mlmon.engine.alerts import alert_id
from otel_mlmon.errors import MlmonError
from otel_mlmon.values import Target

MLMON = str(Path(sys.executable).parent / "mlmon")
EVIL = '<script>alert("x")</script>[red]'
RULE = "<i>Prices</i>[bold]Off"
BAD = [f"{EVIL}N{i}" for i in (3, 8, 16)]
HOURS = 4
RULES = f"""
groups:
  - name: "<b>group</b>"
    model: houses
    interval: 1h
    window: 1h
    segments: [client]
    rules:
      - alert: {RULE!r}
        performance: rmse
        worse_than_reference: 15%
        annotations: {{summary: '{EVIL} {{{{ value }}}}'}}
      - {{alert: SizeDrift, drift: psi, features: [size], above: 0.1}}
"""


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    places = [f"{EVIL}N{int(name[1:])}" for name in frame["neighbourhood"]]
    return frame.assign(neighbourhood=places).rename(columns={"neighbourhood": f"{EVIL}place"})


@pytest.fixture
def fired(serve: Serve, tmp_path: Path) -> Iterator[Processor]:
    """A processor to which three good hours were replayed, and one in which three places are off."""
    _named(houses(0, 6000)).to_parquet(tmp_path / "reference.parquet")
    hours = [houses(hour + 1, 2000, ("N03", "N08", "N16") if hour == HOURS - 1 else ()) for hour in range(HOURS)]
    log = _named(pd.concat(hours, ignore_index=True))
    log["at"] = pd.Timestamp("2025-01-06", tz="UTC") + pd.to_timedelta(
        [i * HOURS * 3600 / len(log) for i in range(len(log))], "s"
    )
    log.to_parquet(tmp_path / "log.parquet")
    with serve(RULES, window={"pane": "1m", "lateness": "0s"}) as processor:
        columns = ("--prediction-column", "predicted", "--ground-truth-column", "price")
        _mlmon(
            "reference",
            "create",
            tmp_path / "reference.parquet",
            "--model",
            "houses",
            *columns,
            "--segment",
            "client",
            "--processor",
            processor.web,
        )
        _mlmon(
            "replay",
            tmp_path / "log.parquet",
            "--model",
            "houses",
            "--version",
            "v<7>",
            "--timestamp-column",
            "at",
            *columns,
            "--segment",
            "client",
            "--endpoint",
            processor.otlp,
        )
        until = time.monotonic() + 120
        while not any(_is(one) for one in processor.get("/api/v1/alerts")):
            assert time.monotonic() < until, processor.get("/api/v1/status")
            time.sleep(0.2)
        yield processor


def _is(one: dict[str, Any]) -> bool:
    return one["rule"] == RULE and one["target"]["segment"] == "" and one["state"]["phase"] == "firing"


def test_command_and_page_answer_six_questions_and_run_no_script(fired: Processor, tmp_path: Path) -> None:
    alert = next(one for one in fired.get("/api/v1/alerts") if _is(one))
    asked = json.loads(_mlmon("explain", alert["id"][:10], "--json", "--processor", fired.web))
    assert asked == fired.get(f"/api/v1/alerts/{alert['id']}/explanation")
    assert asked["missing"] == []
    expected = {f"{EVIL}place = {name}" for name in BAD}
    assert {part["name"] for part in asked["where"]["slices"]} == expected
    assert {one["kind"] for one in asked["changes"]["events"]} >= {"model_version", "feature_set"}
    assert len(asked["examples"]["rows"]) == 10

    text = _mlmon("explain", alert["id"], "--processor", fired.web)
    flat = " ".join(text.replace("│", " ").split())
    order = (
        "1 What fired",
        "2 Where: the worst slices",
        "3 Feature drift",
        "4 Changes just before",
        "5 Predictions",
        "6 The rule's history",
    )
    places = [flat.index(title) for title in order]
    assert places == sorted(places)
    assert RULE in text, "markup in a name is text"
    assert f"{asked['fired']['value']:.4g}" in text
    assert all(name in text for name in BAD)

    page = requests.get(f"{fired.web}/alerts/{alert['id']}", timeout=30)
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "<i>Prices" not in page.text
    for name in expected:
        assert html.escape(name, quote=False).replace('"', "&#34;") in page.text
    assert "is being computed" not in page.text
    missing = requests.get(f"{fired.web}/api/v1/alerts/nothing/explanation", timeout=10)
    assert (missing.status_code, missing.json()) == (404, {"error": "no alert 'nothing'"})


def test_command_lists_alerts_and_names_an_unknown_one(fired: Processor) -> None:
    listed = _mlmon("explain", "--processor", fired.web)
    alerts = fired.get("/api/v1/alerts")
    assert all(one["id"] in listed for one in alerts)
    (firing,) = [one["id"] for one in alerts if _is(one)]
    assert len([one for one in alerts if one["rule"] == RULE]) > 1, "its clients are explained by the whole"
    assert json.loads(_mlmon("explain", RULE, "--json", "--processor", fired.web))["alert"] == firing
    for wanted, said in (
        ("", f"'' may be any of {len(alerts)} alerts; name one by its id: "),
        ("Nonsense", "no alert 'Nonsense': neither the beginning of an id nor the name of a rule"),
        ("0123456789abcdef", "no alert '0123456789abcdef'"),
    ):
        done = _run("explain", wanted, "--processor", fired.web)
        assert done.returncode == 1
        assert done.stderr.startswith(f"mlmon: {said}"), done.stderr
        assert "Traceback" not in done.stderr
    done = _run("explain", "x", "--processor", "http://127.0.0.1:1")
    assert done.stderr.startswith("mlmon: no processor answers at http://127.0.0.1:1")


def _alert(id_: str, rule: str, phase: str = "firing") -> dict[str, Any]:
    target = {"model": "m", "version": "1", "field": f"f{id_[0]}", "segment": ""}
    return {"id": id_, "rule": rule, "target": target, "state": {"phase": phase, "resolved_at": 0}, "cause": ""}


def test_alert_is_chosen_by_id_prefix_or_rule() -> None:
    alerts = [_alert("aa01", "Drift"), _alert("ab02", "Drift"), _alert("bc03", "Off"), _alert("cd04", "Off", "pending")]
    assert [chosen(name, alerts) for name in ("aa01", "ab", "b", "Off", "c")] == [
        "aa01",
        "ab02",
        "bc03",
        "bc03",
        "cd04",
    ]
    for name in ("Drift", "a"):
        with pytest.raises(
            MlmonError,
            match=re.escape(f"'{name}' may be any of 2 alerts; name one by its id: aa01 (Drift m 1 fa), ab02"),
        ):
            chosen(name, alerts)
    with pytest.raises(MlmonError, match="There are: aa01"):
        chosen("zz", alerts)
    with pytest.raises(MlmonError, match="Nothing fires"):
        chosen("zz", [])
    assert chosen("0123456789abcdef", alerts) == "0123456789abcdef", "one that does not fire may be explained, too"


def test_an_alert_that_does_not_fire_is_explained_by_its_id(fired: Processor) -> None:
    id_ = alert_id("<b>group</b>", "SizeDrift", Target("houses", "v<7>", "", "size"))
    found = json.loads(_mlmon("explain", id_, "--json", "--processor", fired.web))
    assert (found["fired"]["phase"], found["fired"]["status"], found["rule"]) == ("inactive", "ok", "SizeDrift")
    assert (found["where"]["slices"], found["where"]["note"].split(",")[0]) == ([], "size has not drifted")
    assert found["history"]["what_if"]


@pytest.mark.peers
def test_a_browser_shows_the_page_with_its_pictures(fired: Processor, tmp_path: Path) -> None:
    require_peer("chromium")
    alert = next(one for one in fired.get("/api/v1/alerts") if _is(one))
    fired.get(f"/api/v1/alerts/{alert['id']}/explanation")
    chromium_screenshot(f"{fired.web}/alerts/{alert['id']}", tmp_path / "why.png", 1000, 3000)
    assert (tmp_path / "why.png").stat().st_size > 100_000


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "260", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [MLMON, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False, env=environment
    )


def _mlmon(*arguments: object) -> str:
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout
