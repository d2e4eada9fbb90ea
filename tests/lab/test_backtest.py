"""Backtests: the alerts of rules over a history, and the injected faults that they find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from references import reference_of

from otel_mlmon.cli.main import cli
from otel_mlmon.lab.backtest import injections, play, run_injections
from otel_mlmon.lab.backtest.past import never
from otel_mlmon.lab.backtest.report import by_kind, caught, html
from otel_mlmon.lab.simulate.faults import FAULTS
from otel_mlmon.lab.simulate.history import history
from otel_mlmon.reference.table import Columns, read_table
from otel_mlmon.rulefile import parse_text

HOUR = 3_600_000_000_000
RULES = """
groups:
  - name: data
    model: prices
    interval: 1h
    window: 2h
    rules:
      - {alert: Missing, integrity: missing}
      - {alert: Type, integrity: type}
      - {alert: Range, integrity: range}
      - {alert: Patient, drift: psi, above: 0.2, min_rows: 5000}
"""


def frame(hours: int = 48, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = hours * 300
    area = rng.normal(100, 20, n)
    return pd.DataFrame(
        {
            "at": pd.Timestamp("2026-03-01") + pd.to_timedelta(np.arange(n) * 12, unit="s"),
            "area": area,
            "rooms": rng.integers(1, 7, n),
            "city": rng.choice(["A", "B", "C"], n),
            "predicted": area * 3,
            "paid": area * 3 + rng.normal(0, 10, n),
        }
    )


def past_of(tmp_path: Path, broken: bool = False):
    rows = frame()
    if broken:
        rows.loc[6000:7200, "area"] = np.nan
    path = tmp_path / "log.parquet"
    rows.to_parquet(path)
    columns = Columns("predicted", "paid")
    block = history(path, read_table(path), columns, timestamp="at", model="prices", version="1", delay_ns=HOUR)
    reference = reference_of(
        frame(seed=1).drop(columns="at"), model="prices", prediction="predicted", ground_truth="paid"
    )
    groups = parse_text(RULES).groups
    start, end = int(block.times[0]), int(block.times[-1]) + 1
    return groups, block, [reference], play(groups, block, [reference], start, end)


def test_history_without_a_fault_has_no_alert_and_names_the_silent_rule(tmp_path: Path) -> None:
    groups, _, _, past = past_of(tmp_path)
    assert past.episodes == []
    ((_, rule, why),) = never(groups, past)
    assert (rule.alert, why) == ("Patient", "min_rows is 5000; the most that a window had is 600")
    assert past.per_month("data", "Missing") == 0


def test_alerts_of_the_history_have_start_and_end(tmp_path: Path) -> None:
    groups, block, _, past = past_of(tmp_path, broken=True)
    first = [e for e in past.episodes if e.alert.rule == "Missing"]
    assert [
        (e.alert.target.field, (e.start - block.times[0]) / HOUR, (e.end - block.times[0]) / HOUR) for e in first
    ] == [("area", 21, 26)]
    assert past.per_month("data", "Missing") == pytest.approx(30.4375 / 2, rel=0.01)
    assert "area: " in html(groups, past, [], "a test")


@pytest.mark.parametrize("jobs", [1, 2])
def test_faults_are_found_or_not_and_each_is_counted_once(tmp_path: Path, jobs: int) -> None:
    groups, block, references, past = past_of(tmp_path)
    begin = int(block.times[0]) + 24 * HOUR
    wanted = injections(["drop", "retype", "precision", "new_category"], ["light", "severe"], block, 2, begin)
    seen: list[object] = []
    cells = run_injections(wanted, groups, block, references, 2, jobs, seen.append)
    assert len(seen) == len(cells) == len(wanted) == 14 - 2
    counts = by_kind(cells)
    assert list(counts) == ["drop", "retype", "new_category", "precision"]
    assert caught(counts["drop"]["severe"]) == 2
    assert {c.rule for c in counts["drop"]["severe"]} == {"Missing"}
    assert all(c.windows is not None and 0 < c.windows <= 2 for c in counts["drop"]["severe"])
    assert caught(counts["retype"]["severe"]) == 2
    assert caught(counts["new_category"]["severe"]) == 1
    assert caught(counts["precision"]["severe"]) == 0  # no rule here checks decimals
    page = html(groups, past, cells, "a test")
    assert "values out of range: precision" in page
    assert page.count("<svg") == 2


def test_every_kind_of_fault_can_be_planned(tmp_path: Path) -> None:
    _, block, _, _ = past_of(tmp_path)
    planned = {i.fault.kind for i in injections(list(FAULTS), ["moderate"], block, 1, 0)}
    assert set(FAULTS) - planned == {"delay"}


def test_the_command_writes_a_table_and_a_page(tmp_path: Path) -> None:
    frame(36).to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "rules.yaml").write_text(RULES)
    given = [
        "rules",
        "backtest",
        str(tmp_path / "rules.yaml"),
        "--history",
        str(tmp_path / "log.csv"),
        "--model",
        "prices",
    ]
    given += ["--timestamp-column", "at", "--prediction-column", "predicted", "--ground-truth-column", "paid"]
    page = tmp_path / "backtest.html"
    answer = CliRunner().invoke(
        cli,
        [
            *given,
            "--inject",
            "drop,null",
            "--severity",
            "moderate",
            "--fields",
            "1",
            "--jobs",
            "1",
            "--output",
            str(page),
        ],
    )
    assert answer.exit_code == 0, answer.output
    assert "could never fire: data / Patient: min_rows is 5000" in answer.output
    assert "moderate: 2 of 2 found (100%)" in answer.output
    assert "dropped fields: drop" in page.read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--inject", "dorp"], 'unknown fault "dorp", did you mean "drop"?'),
        (["--inject", "all", "--severity", "hard"], 'unknown severity "hard"'),
        (["--model", "other"], "no group covers the model 'other'; there are prices"),
        (["--reference-share", "0%"], "allowed is between 0% and 100%"),
        (["--timestamp-column", "city"], "is no timestamp"),
        (["--prediction-column", "prediction"], "no column 'prediction'"),
    ],
)
def test_mistakes_of_the_command_are_reported(tmp_path: Path, more: list[str], said: str) -> None:
    frame(6).to_csv(tmp_path / "log.csv", index=False)
    (tmp_path / "rules.yaml").write_text(RULES)
    given = [
        "rules",
        "backtest",
        str(tmp_path / "rules.yaml"),
        "--history",
        str(tmp_path / "log.csv"),
        "--model",
        "prices",
    ]
    answer = CliRunner().invoke(cli, [*given, "--timestamp-column", "at", *more])
    assert said in str(answer.exception)
