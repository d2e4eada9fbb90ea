from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_mlmon.checks.drift import threshold
from otel_mlmon.errors import RuleFileError
from otel_mlmon.rulefile import KINDS, Baseline, DriftRule, FieldRule, Group, Rule, load, parse_text

TESTDATA = Path(__file__).parent / "testdata"
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def plain(rule: Rule) -> dict[str, Any]:
    values = {name: value for name, value in rule.model_dump().items() if name != rule.family}
    return {"family": rule.family, "method": rule.method, **values}


def one_rule(**keys: Any) -> Rule:
    text = yaml.safe_dump({"groups": [{"name": "g", "model": "m", "rules": [{"alert": "A", **keys}]}]})
    return parse_text(text).groups[0].rules[0]


@pytest.mark.parametrize("bad", sorted(TESTDATA.glob("*.bad.yaml")), ids=lambda path: path.name)
def test_every_mistake_is_found_at_its_place(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TESTDATA)
    with pytest.raises(RuleFileError) as raised:
        load([Path(bad.name)])
    assert f"{raised.value}\n" == bad.with_name(bad.name.replace(".yaml", ".txt")).read_text()


def test_a_full_file_is_read_as_it_is_written() -> None:
    (file,) = load([TESTDATA / "full.yaml"])
    (group,) = file.groups
    group_labels = {"team": "pricing", "severity": "low"}
    every = {
        "segments": ("region", "office"),
        "confidence": 0.99,
        "for_": 0,
        "keep_firing_for": 0,
        "no_data": "keep",
        "false_alarms": None,
        "critical": None,
        "labels": group_labels,
        "annotations": {},
    }
    integrity = every | {"family": "integrity", "outputs": (), "features": ("*",), "min_rows": 30, "above": None}
    performance = every | {
        "family": "performance",
        "worse_than_reference": None,
        "min_ground_truth": 100,
        "min_coverage": 0.5,
    }

    assert file.path == TESTDATA / "full.yaml"
    assert group.model_dump(exclude={"rules"}) == {
        "name": "full",
        "model": "house-*",
        "interval": 30 * 10**9,
        "window": 90 * MINUTE,
        "reference": asdict(Baseline("spring")),
        "false_alarms": None,
        "segments": ("region", "office"),
        "labels": group_labels,
    }
    assert [plain(rule) for rule in group.rules] == [
        {
            "family": "integrity",
            "method": "missing",
            "alert": "Missing",
            "features": ("*", "!id"),
            "outputs": ("prediction", "score", "score high*"),
            "above": 0.02,
            "min_rows": 50,
            "confidence": 0.999,
            "segments": (),
            "for_": 5 * MINUTE,
            "false_alarms": None,
            "critical": None,
            "keep_firing_for": DAY,
            "no_data": "alert",
            "labels": {"team": "pricing", "severity": "critical", "tier": "1"},
            "annotations": {"summary": "{{ feature }} {{ value | percent }}"},
        },
        {**integrity, "method": "type", "alert": "Type", "expect": "float", "above": 0.01},
        {
            **integrity,
            "method": "range",
            "alert": "Range",
            "minimum": 0.0,
            "maximum": 1000.0,
            "categories": ("NEAR BAY", "3", "on"),
        },
        {**integrity, "method": "default_value", "alert": "Default", "values": (0, -1, 2.5, "unknown", True)},
        {
            **every,
            "family": "drift",
            "method": "chi_squared",
            "alert": "Drift",
            "outputs": ("prediction",),
            "features": (),
            "above": 0.1,
            "kind": None,
            "min_rows": 200,
            "segments": ("region",),
        },
        {
            **performance,
            "method": "rmse",
            "alert": "Error",
            "above": None,
            "worse_than_reference": 0.1,
            "min_ground_truth": 200,
            "min_coverage": 0.25,
        },
        {**performance, "method": "r2", "alert": "Score", "below": 0.8},
        {**performance, "method": "recall", "alert": "Class", "below": 0.9, "positive": "yes"},
    ]


def test_smallest_group_has_the_documented_defaults() -> None:
    group = parse_text("groups: [{name: g, model: m, rules: [{alert: A, integrity: missing}]}]").groups[0]
    assert (group.interval, group.window, group.reference) == (MINUTE, HOUR, Baseline("training"))
    assert (group.segments, group.labels) == ((), {})


@pytest.mark.parametrize(
    ("method", "above"),
    [("psi", 0.2), ("kolmogorov_smirnov", 0.1), ("jensen_shannon", 0.1), ("chi_squared", 0.1), ("mean_shift", 0.25)],
)
def test_each_drift_method_has_a_limit_of_its_own(method: str, above: float) -> None:
    rule, stated, budgeted = (
        one_rule(drift=method),
        one_rule(drift=method, above=0.4),
        one_rule(drift=method, false_alarms="1 per month"),
    )
    assert isinstance(rule, DriftRule) and isinstance(stated, DriftRule) and isinstance(budgeted, DriftRule)
    assert (threshold(rule), threshold(stated)) == (above, 0.4)
    assert 0 < threshold(budgeted) < above


@pytest.mark.parametrize(
    ("text", "alarms_per_day"), [("1 per day", 1), ("2 per week", 2 / 7), ("1 per 3 quarters", 1 / 3 / 91.3125)]
)
def test_a_budget_of_false_alarms_is_a_time_between_them(text: str, alarms_per_day: float) -> None:
    assert DAY / one_rule(integrity="missing", false_alarms=text).false_alarms == pytest.approx(alarms_per_day)  # type: ignore[operator]


def test_rules_share_their_groups_budget_unless_they_have_their_own() -> None:
    rules = "[{alert: A, performance: rmse}, {alert: B, drift: psi, false_alarms: 1 per day}]"
    group = parse_text(f"groups: [{{name: g, model: m, false_alarms: 1 per week, rules: {rules}}}]").groups[0]
    assert [rule.false_alarms for rule in group.rules] == [7 * DAY, DAY]


@pytest.mark.parametrize(
    ("written", "baseline"),
    [
        ("spring", Baseline("spring")),
        ("{trailing: 7d}", Baseline("training", trailing=7 * DAY)),
        ("{same_time_last: week}", Baseline("training", cycle=7 * DAY, count=4)),
        ("{same_time_last: day, count: 3, bins: spring}", Baseline("spring", cycle=DAY, count=3)),
        ("{version: previous}", Baseline("training", previous_version=True)),
        ("{version: '7'}", Baseline("training", champion="7")),
        ("{segment: town=a}", Baseline("training", segment="town=a")),
    ],
)
def test_reference_key_takes_a_name_or_a_source_of_predictions(written: str, baseline: Baseline) -> None:
    group = parse_text(
        f"groups: [{{name: g, model: m, reference: {written}, rules: [{{alert: A, drift: psi}}]}}]"
    ).groups[0]
    assert group.reference == baseline
    assert baseline.stored == (written == "spring")


@pytest.mark.parametrize(("family", "method"), KINDS)
def test_every_check_can_be_written_down(family: str, method: str) -> None:
    limit: dict[str, Any] = {"above": 0.5}
    if (family, method) in (
        ("performance", m) for m in ("r2", "accuracy", "precision", "recall", "f1", "roc_auc", "average_precision")
    ):
        limit = {"below": 0.5}
    elif method in ("schema", "volume", "cusum") or family in ("estimate", "slices"):
        limit = {}
    elif method in ("freshness", "latency"):
        limit = {"above": "5m"}
    elif method == "expression":
        limit = {"expression": "rooms > 0"}
    elif method == "ndcg":
        limit = {"below": 0.5, "query": "session"}
    elif method == "business_value":
        limit = {"below": 0, "values": {"fraud": {"ok": -500}}}
    elif method == "sql":
        limit = {"expression": "avg(prediction)", "below": 0}
    elif family == "budget":
        limit = {"above": 3} if method in ("rmse", "mae") else {"at_most": "1%"}
    rule = one_rule(**{family: method}, **limit)
    assert (rule.family, rule.method, type(rule)) == (family, method, KINDS[rule.family, rule.method])


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ({}, {"rooms", "age"}),
        ({"features": ["r*"]}, {"rooms"}),
        ({"features": ["*", "!r*"]}, {"age"}),
        ({"features": ["!r*"]}, {"age"}),
        ({"outputs": ["prediction"]}, {"(prediction)"}),
        ({"outputs": ["score"]}, {"(score high)", "(score low)"}),
        ({"outputs": ["score", "!score h*"]}, {"(score low)"}),
        ({"features": ["age"], "outputs": ["score low"]}, {"age", "(score low)"}),
    ],
)
def test_a_rule_selects_fields(keys: dict[str, Any], chosen: set[str]) -> None:
    rule = one_rule(integrity="missing", **keys)
    fields = ["rooms", "age", "(prediction)", "(score high)", "(score low)"]
    assert isinstance(rule, FieldRule)
    assert {field for field in fields if rule.selects(field)} == chosen


def test_a_groups_model_is_a_glob() -> None:
    group = Group.model_validate({"name": "g", "model": "house-*", "rules": []})
    assert [group.covers(model) for model in ("house-prices", "House-prices", "bikes")] == [True, False, False]


def test_yaml_1_1_words_are_text_and_anchors_and_merge_keys_work() -> None:
    (group,) = parse_text("""
groups:
  - name: off
    model: 2024-01-01
    rules:
      - &first {alert: "on", integrity: missing, above: 1%, for: 1h, labels: {a: no}}
      - <<: *first
        alert: 1:30
        above: 2%
""").groups
    assert (group.name, group.model) == ("off", "2024-01-01")
    assert [rule.alert for rule in group.rules] == ["on", "1:30"]
    assert [plain(rule)["above"] for rule in group.rules] == [0.01, 0.02]
    assert [rule.for_ for rule in group.rules] == [HOUR, HOUR]
    assert group.rules[1].labels == {"a": "no"}


def test_directory_stands_for_its_visible_yaml_files_each_once(tmp_path: Path) -> None:
    names = ["b.yaml", "a.yml", "deep/c.yaml", ".hidden/d.yaml", "notes.txt"]
    for name in names:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"groups: [{{name: {name}, model: m, rules: [{{alert: A, drift: psi}}]}}]")
    loaded = load([tmp_path / "b.yaml", tmp_path])
    assert [str(file.path.relative_to(tmp_path)) for file in loaded] == ["b.yaml", "a.yml", "deep/c.yaml"]


def test_the_mistakes_of_all_files_are_reported_together(tmp_path: Path) -> None:
    rules = "rules: [{alert: A, drift: psi}]"
    (tmp_path / "a.yaml").write_text(f"groups: [{{name: same, model: m, {rules}}}]")
    (tmp_path / "b.yaml").write_text(f"groups: [{{name: same, model: m, {rules}}}]")
    (tmp_path / "c.yaml").write_text("groups: [")
    (tmp_path / "none").mkdir()
    with pytest.raises(RuleFileError) as raised:
        load([tmp_path / name for name in ("a.yaml", "b.yaml", "c.yaml", "none", "absent.yaml")])
    assert [str(finding).removeprefix(f"{tmp_path}/") for finding in raised.value.findings] == [
        "absent.yaml:0:0: no such file or directory",
        f'b.yaml:1:17: group "same": the name is taken by the group at {tmp_path}/a.yaml:1',
        "c.yaml:1:10: not YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
        "none:0:0: no *.yaml or *.yml in this directory",
    ]


def test_a_file_that_is_too_large_is_not_parsed() -> None:
    with pytest.raises(RuleFileError, match="1048577 bytes, a rule file may have 1048576"):
        parse_text(b"#" * (1024 * 1024 + 1))


# Nothing here is about speed.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rejected_or_read(content: str | bytes) -> None:
    try:
        parse_text(content)
    except RuleFileError as error:
        str(error).encode("utf-8")  # the message can be printed for any input


@patient
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_findings(content: bytes) -> None:
    rejected_or_read(content)


@patient
@given(st.text(alphabet="groups: -[]{}\"'&*!|>%#<\\Ux0123\n\t", max_size=120))
def test_arbitrary_text_of_yamls_own_characters_raises_nothing_but_findings(content: str) -> None:
    rejected_or_read(content)


_KEYS = st.sampled_from(
    [
        "name",
        "model",
        "rules",
        "alert",
        "integrity",
        "drift",
        "performance",
        "above",
        "features",
        "outputs",
        "labels",
        "annotations",
        "for",
        "values",
        "minimum",
        "maximum",
        "categories",
        "segments",
        "reference",
        "positive",
        "<<",
    ]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["missing", "psi", "rmse", "range", "{{ value }}", "{{ labels['x'] }}", "5m", "2%", "1e999%"])
)
_ITEMS = _SCALARS | st.lists(_SCALARS, max_size=2) | st.dictionaries(_KEYS, _SCALARS, max_size=2)


@patient
@given(st.lists(st.dictionaries(_KEYS, _ITEMS, max_size=5), max_size=2))
def test_arbitrary_rules_raise_nothing_but_findings(rules: list[Any]) -> None:
    rejected_or_read(json.dumps({"groups": [{"name": "g", "model": "m", "rules": rules}]}))


@patient
@given(st.dictionaries(_KEYS, _ITEMS, max_size=5) | _ITEMS)
def test_arbitrary_groups_raise_nothing_but_findings(group: Any) -> None:
    rejected_or_read(json.dumps({"groups": [group]}))


@patient
@given(st.data())
def test_a_good_file_with_bytes_changed_raises_nothing_but_findings(data: st.DataObject) -> None:
    content = bytearray((TESTDATA / "full.yaml").read_bytes())
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    rejected_or_read(bytes(content))
