"""Unit tests of rules: the shipped tests pass; failures are reported; mistakes have a place."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from otel_mlmon.cli.main import cli
from otel_mlmon.errors import RuleFileError
from otel_mlmon.lab.ruletest import load_tests, run_case
from otel_mlmon.lab.simulate.faults import FAULTS

RULES = Path(__file__).parents[2] / "rules"
GUIDE = (RULES.parent / "docs" / "how-to" / "trying-rules.md").read_text()
SHIPPED = [
    pytest.param(file, case, id=f"{file.path.name.partition('.')[0]}: {case.name}")
    for file in load_tests([RULES])
    for case in file.cases
]

RULE_FILE = """
groups:
  - name: g
    model: "*"
    interval: 10m
    window: 1h
    rules:
      - {alert: Missing, integrity: missing, labels: {severity: warning}}
      - {alert: Drift, drift: psi, above: 0.2}
"""
TESTS = """
rule_files: [rules.yaml]
tests:
  - name: dropped
    input:
      every: 10s
      length: 4h
      features:
        a: {normal: [0, 1]}
        b: {values: [x, y], shares: [90%, 10%]}
    faults:
      - {fault: drop, field: a, start: 1h, fraction: 20%}
    expect:
      - {at: 1h, alerts: []}
      - at: 2h
        alerts: [{alert: Missing, feature: a, finding: absent, severity: warning}]
    fires: [{alert: Missing}]
"""


def test_the_guide_shows_a_test_that_holds_and_every_fault(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "integrity.yaml").write_text((RULES / "integrity.yaml").read_text())
    (tmp_path / "guide.test.yaml").write_text(example)
    (file,) = load_tests([tmp_path / "guide.test.yaml"])
    assert [run_case(case, file.groups, tmp_path).problems for case in file.cases] == [()]
    table = set(re.findall(r"^\| `(\w+)` \|.*\|.*\|.*\|$", GUIDE, re.MULTILINE))
    assert table >= set(FAULTS)


def written(tmp_path: Path, tests: str = TESTS) -> Path:
    (tmp_path / "rules.yaml").write_text(RULE_FILE)
    path = tmp_path / "rules.test.yaml"
    path.write_text(tests)
    return path


def problems(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    text = TESTS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (file,) = load_tests([written(tmp_path, text)])
    return list(run_case(file.cases[0], file.groups, tmp_path).problems)


@pytest.mark.parametrize(("file", "case"), SHIPPED)
def test_the_shipped_rules_hold(file, case) -> None:
    assert run_case(case, file.groups, file.path.parent).problems == ()


def test_missing_and_unexpected_alerts_are_reported(tmp_path: Path) -> None:
    assert problems(tmp_path) == []
    assert problems(tmp_path, ("fraction: 20%", "fraction: 0%")) == [
        "at 2h: expected firing Missing a (absent, warning); found nothing",
        "in the whole history: expected firing Missing; found nothing",
    ]
    (found,) = problems(tmp_path, ("- {at: 1h, alerts: []}", "- {at: 2h, alerts: []}"))
    assert found.startswith("at 2h: not expected: firing Missing a (absent, warning): ")
    (found,) = problems(tmp_path, ("finding: absent", "finding: 'null'"))[:1]
    assert "expected firing Missing a (null, warning)" in found
    assert "found firing Missing a (absent, warning)" in found


def test_input_may_be_a_file(tmp_path: Path) -> None:
    rows = "\n".join(f"{i % 7},{'x' if i % 5 else 'y'},{i % 3}" for i in range(1440))
    (tmp_path / "log.csv").write_text(f"a,b,p\n{rows}\n")
    start, end = TESTS.index("    input:"), TESTS.index("    faults:")
    text = TESTS[:start] + "    input: {file: log.csv, every: 10s, prediction: p}\n" + TESTS[end:]
    (file,) = load_tests([written(tmp_path, text)])
    assert run_case(file.cases[0], file.groups, tmp_path).problems == ()
    (tmp_path / "log.csv").unlink()
    (problem,) = run_case(file.cases[0], file.groups, tmp_path).problems
    assert "no such file" in problem


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("fault: drop", "fault: dorp", "12:17", 'unknown fault "dorp", did you mean "drop"?'),
        ("field: a,", "field: c,", "12:30", 'unknown feature "c"'),
        (
            "alert: Missing, feature",
            "alert: Mising, feature",
            "16:26",
            'unknown alert "Mising", did you mean "Missing"?',
        ),
        ("length: 4h", "length: 4", "7:15", "without a unit"),
        ("length: 4h", "lenght: 4h", "7:7", 'unknown key "lenght", did you mean "length"?'),
        ("shares: [90%, 10%]", "shares: [90%]", "10:12", "1 shares for 2 values"),
        ("{normal: [0, 1]}", "{normal: [0, 1], uniform: [0, 1]}", "9:12", "normal and uniform"),
        ("- at: 2h", "- at: 5h", "15:13", "after the end of the input"),
        ("rule_files: [rules.yaml]", "rule_files: [other.yaml]", "0:0", "no such file"),
        ("tests:", "test:", "3:1", 'unknown key "test"'),
    ],
)
def test_mistakes_are_reported_with_their_place(tmp_path: Path, old: str, new: str, place: str, said: str) -> None:
    assert old in TESTS
    with pytest.raises(RuleFileError) as caught:
        load_tests([written(tmp_path, TESTS.replace(old, new, 1))])
    lines = [str(finding) for finding in caught.value.findings]
    assert any(f":{place}: " in line and said in line for line in lines), lines


def test_command_reports_failures_and_writes_junit(tmp_path: Path) -> None:
    path, junit = written(tmp_path, TESTS.replace("finding: absent", "finding: 'null'")), tmp_path / "junit.xml"
    answer = CliRunner().invoke(cli, ["rules", "test", str(path), "--junit", str(junit)])
    assert answer.exit_code == 1
    assert f"FAIL {path}:4: dropped" in answer.output
    assert "0 of 1 tests passed" in answer.output
    (case,) = ET.parse(junit).getroot().iter("testcase")
    assert (case.get("name"), case.get("line")) == ("dropped", "4")
    assert "expected firing Missing a" in (case.find("failure").text or "")  # type: ignore[union-attr]
    path.write_text(TESTS)
    assert CliRunner().invoke(cli, ["rules", "test", str(tmp_path), "--run", "drop"]).exit_code == 0
    assert CliRunner().invoke(cli, ["rules", "test", str(tmp_path), "--run", "other"]).exit_code != 0


BUDGET_RULE = """
groups:
  - name: g
    model: "*"
    interval: 10m
    window: 1h
    rules:
      - {alert: Broken, budget: integrity, at_most: 1%, over: 28d, min_ground_truth: 10}
"""


@pytest.mark.parametrize(("fraction", "fires"), [("0%", "[]"), ("20%", "[{alert: Broken}]")])
def test_only_rows_with_a_broken_feature_use_up_a_budget_of_integrity(
    tmp_path: Path, fraction: str, fires: str
) -> None:
    head, _, _ = TESTS.partition("    expect:")
    test = written(tmp_path, f"{head.replace('20%', fraction)}    fires: {fires}\n")
    (tmp_path / "rules.yaml").write_text(BUDGET_RULE)
    (file,) = load_tests([test])
    assert run_case(file.cases[0], file.groups, tmp_path).problems == ()
