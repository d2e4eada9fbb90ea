"""Which alert explains which other one, and how sure a breach must be when much is tested at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.engine.causes import causes
from otel_mlmon.engine.multiple_testing import Judged, PastPValues, correct
from otel_mlmon.lab.simulate.faults import Fault, inject
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import Rule, parse_text
from otel_mlmon.stats.inference.p_values import combined_p_value
from otel_mlmon.values import Alert, AlertState, CheckResult, Reference, RowBlock, Target, Verdict
from otel_mlmon.values.evidence import FieldEvidence, SchemaEvidence
from otel_mlmon.wire.semconv import FIELD_PREDICTION, score_field

HOUR = 3_600_000_000_000
MONTH = 2_629_800_000_000_000
PREDICTION, SCORE = FIELD_PREDICTION, score_field("high")
FAMILIES = {
    "drift": ("psi", "kolmogorov_smirnov", "cusum", "weighted", "reconstruction_error"),
    "performance": ("rmse", "accuracy"),
}
ASIDE = ("volume", "freshness", "latency", "duplicates", "expression")


def _alert(
    method: str,
    field: str = "",
    *,
    hours: tuple[int, int] = (9, 10),
    version: str = "v1",
    segment: str = "",
    severity: str = "",
    state: AlertState | None = None,
    **verdict: Any,
) -> Alert:
    """A firing alert about a range of hours; its id names its subject. `verdict` overrides parts of its verdict."""
    start, end = (hour * HOUR for hour in hours)
    target = Target("m", version, segment, field)
    result = CheckResult("breach", "beyond_threshold", value=0.2, threshold=0.1, rows=1000)
    return Alert(
        " ".join(filter(None, (method, field, segment, version if version != "v1" else ""))),
        "g",
        f"{method} rule",
        next((family for family, methods in FAMILIES.items() if method in methods), "integrity"),
        method,
        target,
        state or AlertState("firing", end, end, end),
        Verdict(target, start, end, replace(result, **verdict)),
        {"severity": severity} if severity else {},
        {},
    )


def _over(method: str, field: str = "", *, last_breach: int, **named: Any) -> Alert:
    """One that was there for one hour, and is over by now."""
    last = last_breach * HOUR
    state = AlertState("inactive", last, last, last, last + HOUR)
    return _alert(method, field, state=state, status="ok", reason="within_threshold", **named)


def _fine(method: str, field: str, segment: str, **named: Any) -> Alert:
    """A segment that never was out of order."""
    verdict = {"status": "ok", "reason": "within_threshold", "value": 0.02, **named}
    return _alert(method, field, segment=segment, state=AlertState(), **verdict)


DROPPED = _alert("missing", "x")
SCHEMA = _alert("schema", evidence=SchemaEvidence(("x",), ()), value=1.0, threshold=0.0)
FEET, RANGE = _alert("range", "x", finding="unit"), _alert("range", "x", finding="range")

# What may be a cause, what may follow from it, and whether it does.
PAIRS: dict[str, tuple[Alert, Alert, bool]] = {
    "missing, drift of its field": (DROPPED, _alert("psi", "x"), True),
    "missing, creeping drift of its field": (DROPPED, _alert("cusum", "x"), True),
    "missing, drift of another field": (DROPPED, _alert("psi", "y"), False),
    "missing, another missing field": (DROPPED, _alert("missing", "y"), False),
    "missing, type of its field": (DROPPED, _alert("type", "x"), True),
    "missing, type of another field": (DROPPED, _alert("type", "y"), False),
    "missing, drift of the prediction": (DROPPED, _alert("psi", PREDICTION), True),
    "missing, drift of a score": (DROPPED, _alert("psi", SCORE), True),
    "missing, drift of all that is used": (DROPPED, _alert("weighted"), True),
    "missing, a broken relation": (DROPPED, _alert("reconstruction_error"), True),
    "missing in a fifth of the rows, performance": (DROPPED, _alert("rmse"), True),
    "missing in a twentieth of the rows, performance": (_alert("missing", "x", value=0.05), _alert("rmse"), True),
    "missing in fewer rows, performance": (_alert("missing", "x", value=0.049), _alert("rmse"), False),
    "missing in a segment, drift of the whole": (_alert("missing", "x", segment="town=a"), _alert("psi", "x"), True),
    "missing in the whole, drift of a segment": (DROPPED, _alert("psi", "x", segment="town=a"), True),
    "missing in one segment, drift of another": (
        _alert("missing", "x", segment="town=a"),
        _alert("psi", "x", segment="town=b"),
        False,
    ),
    "schema, missing field that it names": (SCHEMA, DROPPED, True),
    "schema, drift of a field that it names": (SCHEMA, _alert("psi", "x"), True),
    "schema, missing field that it does not name": (SCHEMA, _alert("missing", "y"), False),
    "schema, drift of a field that it does not name": (SCHEMA, _alert("psi", "y"), False),
    "schema, drift of the prediction": (SCHEMA, _alert("psi", PREDICTION), True),
    "schema, performance": (SCHEMA, _alert("rmse"), True),
    "values out of range, drift of an output": (_alert("range", PREDICTION), _alert("psi", PREDICTION), True),
    "missing output, its drift": (_alert("missing", PREDICTION), _alert("psi", PREDICTION), True),
    "drift of an output, missing output": (_alert("psi", PREDICTION), _alert("missing", PREDICTION), False),
    "drift of a feature, missing output": (_alert("psi", "x"), _alert("missing", PREDICTION), False),
    "missing feature, missing output": (DROPPED, _alert("missing", PREDICTION), True),
    "type of an output, performance": (_alert("type", PREDICTION), _alert("rmse"), True),
    "few missing outputs, performance": (_alert("missing", PREDICTION, value=0.006), _alert("rmse"), False),
    "output in another unit, a broken relation of features": (
        _alert("range", PREDICTION, finding="unit"),
        _alert("reconstruction_error"),
        False,
    ),
    "another unit, type": (FEET, _alert("type", "x"), True),
    "another sign, type": (_alert("range", "x", finding="sign"), _alert("type", "x"), True),
    "another unit as drift names it, type": (_alert("psi", "x", finding="unit"), _alert("type", "x"), False),
    "missing, another unit": (DROPPED, FEET, True),
    "type, another unit": (_alert("type", "x"), FEET, False),
    "range, type": (RANGE, _alert("type", "x"), False),
    "type, range": (_alert("type", "x"), RANGE, True),
    "type, stuck": (_alert("type", "x"), _alert("stuck", "x"), True),
    "stuck, format": (_alert("stuck", "x"), _alert("format", "x"), True),
    "format, default value": (_alert("format", "x"), _alert("default_value", "x"), True),
    "default value, range": (_alert("default_value", "x"), RANGE, True),
    "range, drift": (RANGE, _alert("psi", "x"), True),
    "drift, range of what has moved as a whole": (_alert("psi", "x"), _alert("range", "x", finding="shift"), True),
    "missing, another field that has moved as a whole": (DROPPED, _alert("range", "y", finding="shift"), False),
    "drift, another field that has moved as a whole": (
        _alert("psi", "x"),
        _alert("range", "y", finding="shift"),
        False,
    ),
    "drift, range": (_alert("psi", "x"), RANGE, False),
    "drift, drift by another method": (_alert("psi", "x"), _alert("kolmogorov_smirnov", "x"), False),
    "drift, drift of the prediction": (_alert("psi", "x"), _alert("psi", PREDICTION), True),
    "drift, performance": (_alert("psi", "x"), _alert("rmse"), False),
    "drift of the prediction, performance": (_alert("psi", PREDICTION), _alert("rmse"), False),
    "performance, drift": (_alert("rmse"), _alert("psi", "x"), False),
    "performance, another performance": (_alert("rmse"), _alert("accuracy"), False),
    "another version's missing field": (_alert("missing", "x", version="v0"), _alert("psi", "x"), False),
    "over before the symptom's window": (_over("missing", "x", last_breach=9), _alert("psi", "x"), False),
    "over within the symptom's window": (
        _over("missing", "x", last_breach=9),
        _alert("psi", "x", hours=(6, 10)),
        True,
    ),
    "begins after the symptom's window": (
        _alert("missing", "x", hours=(11, 12)),
        _alert("psi", "x", hours=(9, 10)),
        False,
    ),
    "begins within the symptom's window": (_alert("missing", "x"), _alert("psi", "x", hours=(0, 24)), True),
    "a warning, something critical of its field": (
        _alert("missing", "x", severity="warning"),
        _alert("psi", "x", severity="critical"),
        True,
    ),
    "a warning, critical drift of the prediction": (
        _alert("missing", "x", severity="warning"),
        _alert("psi", PREDICTION, severity="critical"),
        False,
    ),
    "a warning, critical performance": (
        _alert("missing", "x", severity="warning"),
        _alert("rmse", severity="critical"),
        False,
    ),
    "a warning, a warning": (
        _alert("missing", "x", severity="warning"),
        _alert("rmse", severity="warning"),
        True,
    ),
    "something critical, a warning": (
        _alert("missing", "x", severity="critical"),
        _alert("rmse", severity="warning"),
        True,
    ),
    "of a severity that nobody knows, something critical": (
        _alert("missing", "x", severity="purple"),
        _alert("rmse", severity="critical"),
        True,
    ),
    "without a severity, something critical": (DROPPED, _alert("rmse", severity="critical"), True),
}


@pytest.mark.parametrize(("cause", "symptom", "explains"), PAIRS.values(), ids=PAIRS)
def test_a_cause_explains_its_symptoms_and_nothing_else(cause: Alert, symptom: Alert, explains: bool) -> None:
    expected = {symptom.id: cause.id} if explains else {}
    reverse = causes([symptom, cause])
    assert causes([cause, symptom]) == reverse, "whichever comes first"
    assert {key: value for key, value in reverse.items() if key == symptom.id} == expected


def test_a_range_that_is_left_and_a_type_explain_each_other_one_way_only() -> None:
    kind = _alert("type", "x")
    assert causes([FEET, kind]) == {kind.id: FEET.id}
    assert causes([RANGE, kind]) == {RANGE.id: kind.id}


@pytest.mark.parametrize("method", ASIDE)
def test_traffic_duplicates_and_expressions_neither_explain_nor_are_explained(method: str) -> None:
    aside = _alert(method)
    others = [SCHEMA, _alert("psi", PREDICTION), _alert("weighted"), _alert("rmse")]
    found = causes([aside, *others])
    assert aside.id not in {*found, *found.values()}
    assert causes([aside, DROPPED, _alert("psi", "y")]) == {}


def test_what_is_over_explains_by_what_it_was_and_is_not_explained() -> None:
    over = _over("missing", "x", last_breach=9, value=0.0)
    breach = Verdict(over.target, 8 * HOUR, 9 * HOUR, replace(over.verdict.result, status="breach", value=0.3))
    over = replace(over, last_breach=breach)
    slow = _alert("rmse", hours=(2, 10))
    assert causes([over, slow]) == {slow.id: over.id}, "it had 30 % of the rows, though it has none now"
    little = replace(over, last_breach=replace(breach, result=replace(breach.result, value=0.01)))
    assert causes([little, slow]) == {}
    assert causes([SCHEMA, _over("psi", "x", last_breach=10)]) == {}


def test_a_pending_symptom_is_explained_and_a_target_that_is_fine_takes_no_part() -> None:
    pending = _alert("psi", "x", state=AlertState("pending", 10 * HOUR, 0, 10 * HOUR))
    assert causes([DROPPED, pending]) == {pending.id: DROPPED.id}
    fine = _alert("missing", "x", state=AlertState(), status="ok", reason="within_threshold", value=0.0)
    assert causes([fine, _alert("psi", "x")]) == {}


def test_a_chain_ends_at_its_root() -> None:
    # Over before the last hour, it does not explain what is seen there; but it does explain the day that does.
    root = _over("missing", "x", last_breach=10)
    day = _alert("psi", "x", hours=(0, 24))
    last = _alert("psi", PREDICTION, hours=(23, 24))
    assert causes([root, last]) == {}
    assert causes([day, last]) == {last.id: day.id}
    assert causes([root, day, last]) == {day.id: root.id, last.id: root.id}


def test_one_incident_has_one_root() -> None:
    incident = [
        SCHEMA,
        DROPPED,
        _alert("type", "x"),
        FEET,
        _alert("default_value", "x"),
        _alert("psi", "x"),
        _alert("weighted"),
        _alert("psi", PREDICTION),
        _alert("rmse"),
        _alert("rmse", segment="town=a"),
    ]
    assert causes(incident) == {a.id: SCHEMA.id for a in incident if a is not SCHEMA}
    assert causes(incident[1:]) == {a.id: DROPPED.id for a in incident[1:] if a is not DROPPED}


def test_of_several_causes_the_first_in_order_is_told_and_of_equals_the_whole() -> None:
    drift = _alert("psi", PREDICTION)
    range_of_y, part = _alert("range", "y"), _alert("missing", "x", segment="town=a")
    assert causes([range_of_y, DROPPED, drift])[drift.id] == DROPPED.id
    kind, kind_of_part = _alert("type", "y"), _alert("type", "x", segment="town=a")
    assert causes([kind_of_part, kind, drift])[drift.id] == kind.id
    assert causes([part, kind, drift])[drift.id] == part.id


WHOLE, A, B = (_alert("missing", "x", segment=segment) for segment in ("", "town=a", "town=b"))


def test_where_all_segments_have_it_the_whole_is_told() -> None:
    assert causes([WHOLE, A, B]) == {A.id: WHOLE.id, B.id: WHOLE.id}


def test_where_some_segments_are_clearly_fine_the_others_are_told() -> None:
    assert causes([WHOLE, A, B, _fine("missing", "x", "town=c")]) == {WHOLE.id: A.id}


@pytest.mark.parametrize(
    "unclear",
    [
        _fine("missing", "x", "town=c", value=0.06),
        _fine("missing", "x", "town=c", rows=99),
        _fine("missing", "x", "town=c", status="no_data", reason="too_few_rows", value=None),
        _fine("missing", "x", "town=c", reason="not_significant"),
        _fine("missing", "y", "town=c"),
        _fine("missing", "x", "age=old"),
        _fine("type", "x", "town=c"),
    ],
    ids=["more than half of the limit", "few rows", "no data", "not sure", "another field", "another key", "rule"],
)
def test_what_is_not_clearly_fine_does_not_take_the_news_from_the_whole(unclear: Alert) -> None:
    assert causes([WHOLE, A, unclear]) == {A.id: WHOLE.id}


def test_a_segments_performance_is_clearly_fine_up_to_its_limit() -> None:
    whole, part = _alert("rmse", value=12.0, threshold=10.0), _alert("rmse", segment="town=a", value=30.0)
    fine = _fine("rmse", "", "town=c", value=9.0, threshold=10.0)
    assert causes([whole, part, fine]) == {whole.id: part.id}
    assert causes([whole, part]) == {part.id: whole.id}


def test_the_whole_that_a_segment_explains_hands_its_symptoms_on_to_it() -> None:
    drift = _alert("psi", "x", segment="town=b")
    assert causes([WHOLE, A, _fine("missing", "x", "town=c"), drift]) == {WHOLE.id: A.id, drift.id: A.id}


# ---- with the engine ------------------------------------------------------------------------------------------

ROWS = 400  # an hour
RULES = """
groups:
  - name: g
    model: m
    window: 1h
    interval: 1h
    rules:
      - {alert: Missing, integrity: missing}
      - {alert: Drift, drift: psi, above: 0.05, features: [x, y], outputs: [prediction]}
      - {alert: Used, drift: weighted}
      - {alert: Error, performance: rmse, above: 8}
"""


def _incident() -> tuple[RowBlock, Reference]:
    """From the fourth to the eighth hour one of two apps does not send x, which the model then takes for 0."""
    rng, n = np.random.default_rng(0), 12 * ROWS
    hour, app = np.arange(n) // ROWS, rng.choice(["old", "new"], n)
    x, y = rng.normal(np.where(app == "old", 12, 10), 1), rng.normal(size=n)
    dropped = (app == "old") & (hour >= 4) & (hour < 8)
    columns = {"x": x, "y": y, "app": app, "p": np.where(dropped, 0, 10 * x), "t": 10 * x + 5 * rng.normal(size=n)}
    rows = rows_of(Path("rows"), pa.table(columns), Columns("p", "t"), "m", "v1")
    times = np.arange(n) * HOUR // ROWS
    normal = rows_of(Path("rows"), pa.table({**columns, "p": 10 * x}), Columns("p", "t"), "m", "")
    made = create_reference(normal, name="training", version="", segments=(), source="", created="")
    fault = Fault("drop", "x", segment="app=old", start=4 * HOUR, end=8 * HOUR)
    return inject(replace(rows, times=times, truth_times=times), fault, rng), made


def test_of_a_dropped_field_one_alert_is_told_and_all_end_with_it() -> None:
    rows, made = _incident()
    groups = parse_text(RULES, Path("rules.yaml")).groups
    told: list[tuple[int, str, str, str]] = []
    for tick in simulate(groups, rows, [made], pane_ns=HOUR):
        hour, now = tick.time // HOUR, {(a.rule, a.target.field): a for a in tick.alerts()}
        told += [(hour, a.rule, a.target.field, a.phase) for a in tick.changed]
        root = now["Missing", "x"]
        symptoms = [now["Drift", "x"], now["Drift", PREDICTION], now["Used", ""], now["Error", ""]]
        during = 4 < hour <= 8
        assert root.phase == ("firing" if during else "inactive"), hour
        assert {a.phase for a in symptoms} == {"suppressed" if during else "inactive"}, hour
        if during:
            assert root.cause == ""
            assert {a.cause for a in symptoms} == {root.id}
        rest = {a.phase for a in now.values() if a not in (root, *symptoms)}
        assert rest == {"inactive"}, hour
    assert [entry for entry in told if entry[3] == "firing"] == [(5, "Missing", "x", "firing")]
    assert {(hour, phase) for hour, *_, phase in told} == {(5, "firing"), (5, "suppressed"), (9, "inactive")}
    assert {a.state.resolved_at for a in (root, *symptoms)} == {9 * HOUR}


# ---- how sure -------------------------------------------------------------------------------------------------


def _rules(*rules: str, head: str = "") -> tuple[Rule, ...]:
    lines = "".join(f"      - {rule}\n" for rule in rules)
    return parse_text(f"groups:\n  - name: g\n    model: m\n{head}    rules:\n{lines}", Path("r.yaml")).groups[0].rules


def _verdict(p_value: float | None, status: Any = "breach", **named: Any) -> Verdict:
    result = CheckResult(status, "beyond_threshold", p_value=p_value, finding="shift", level="critical", rows=1000)
    result = replace(result, evidence=FieldEvidence(()), **named)
    return Verdict(Target("m", "v1", "", "x"), 9 * HOUR, 10 * HOUR, result)


def _corrected(rules: tuple[Rule, ...], *p_values: list[float | None], interval: int = HOUR) -> list[list[Verdict]]:
    """Breaches with these p-values, of each rule, after the correction."""
    judged = [Judged(rule, _verdict(p)) for rule, ps in zip(rules, p_values, strict=True) for p in ps]
    found = correct(judged, interval)
    assert [rule for rule, _ in found] == [rule for rule, _ in judged]
    rest = iter([verdict for _, verdict in found])
    return [[next(rest) for _ in ps] for ps in p_values]


TWO = ("{alert: A, drift: psi}", "{alert: B, drift: kolmogorov_smirnov}")
BUDGET = "    false_alarms: 1 per month\n"


@pytest.mark.parametrize("interval", [HOUR // 60, HOUR, 24 * HOUR])
def test_the_level_of_a_budget_is_the_share_of_it_that_one_evaluation_may_spend(interval: int) -> None:
    rules, level = _rules(TWO[0], head=BUDGET), interval / MONTH
    (found,) = _corrected(rules, [0.99 * level], interval=interval)
    assert [v.result.status for v in found] == ["breach"]
    (found,) = _corrected(rules, [1.01 * level], interval=interval)
    assert [(v.result.status, v.result.reason) for v in found] == [("ok", "not_significant")]


def test_all_rules_of_a_budget_are_one_family() -> None:
    level = HOUR / MONTH
    small, large = 0.3 * level, 0.9
    (alone,) = _corrected(_rules(TWO[0], head=BUDGET), [small])
    assert alone[0].result.status == "breach"
    first, second = _corrected(_rules(*TWO, head=BUDGET), [small], [large] * 3)
    assert first[0].result.status == "ok", "one of four tests"
    assert first[0].result.q_value == pytest.approx(4 * small)
    assert [v.result.q_value for v in second] == pytest.approx([large] * 3)
    first, second = _corrected(_rules(*TWO, head=BUDGET), [small], [small, small, large])
    assert [v.result.status for v in (*first, *second)] == ["breach"] * 3 + ["ok"], (
        "where several are small, less is enough"
    )
    assert first[0].result.q_value == pytest.approx(4 / 3 * small)


def test_without_a_budget_each_rule_is_a_family_at_its_own_confidence() -> None:
    rules = _rules("{alert: A, drift: psi}", "{alert: B, drift: psi, confidence: 90%}")
    sure, less = _corrected(rules, [0.009], [0.09])
    assert [v.result.status for v in (*sure, *less)] == ["breach", "breach"]
    assert [v.result.q_value for v in (*sure, *less)] == [0.009, 0.09], "neither counts among the other's tests"
    sure, less = _corrected(rules, [0.011], [0.11])
    assert [v.result.status for v in (*sure, *less)] == ["ok", "ok"]
    sure, less = _corrected(rules, [0.009, 0.5], [0.04, 0.5])
    assert [v.result.status for v in (*sure, *less)] == ["ok", "ok", "breach", "ok"]


def test_a_rule_with_its_own_budget_is_apart_from_the_groups() -> None:
    rules = _rules("{alert: A, drift: psi}", "{alert: B, drift: psi, false_alarms: 1 per day}", head=BUDGET)
    assert [rule.false_alarms for rule in rules] == [MONTH, 24 * HOUR]
    group, own = _corrected(rules, [0.04], [0.04])
    assert [v.result.status for v in (*group, *own)] == ["ok", "breach"], "1 in 730, and 1 in 24"
    assert group[0].result.q_value == own[0].result.q_value == 0.04


def test_what_was_not_tested_is_left_as_it_is_and_counts_for_nothing() -> None:
    (rule,) = _rules("{alert: A, drift: psi}")
    without = [
        _verdict(None),
        _verdict(None, status="ok"),
        _verdict(0.5, status="no_data"),
        _verdict(0.5, status="error"),
    ]
    found = [v for _, v in correct([Judged(rule, v) for v in [_verdict(0.009), *without]], HOUR)]
    assert (found[0].result.status, found[0].result.q_value) == ("breach", 0.009)
    assert found[1:] == without
    assert correct([], HOUR) == []


def test_what_is_fine_by_size_stays_fine_and_what_may_be_chance_loses_its_finding() -> None:
    (rule,) = _rules("{alert: A, drift: psi}")
    fine, chance = (
        v for _, v in correct([Judged(rule, _verdict(1e-9, status="ok")), Judged(rule, _verdict(0.2))], HOUR)
    )
    assert (fine.result.status, fine.result.q_value) == ("ok", pytest.approx(2e-9))
    assert (chance.result.status, chance.result.reason, chance.result.finding, chance.result.level) == (
        "ok",
        "not_significant",
        "",
        "",
    )
    assert chance.result.evidence is None
    assert (chance.result.p_value, chance.result.q_value) == (0.2, 0.2)


def _window(hour: float, p_value: float | None, *, rows: int = 1000, reference_rows: int = 0) -> Verdict:
    """Of the hour that ends then."""
    result = replace(_verdict(p_value, status="ok").result, rows=rows, reference_rows=reference_rows)
    return Verdict(Target("m", "v1", "", "x"), int((hour - 1) * HOUR), int(hour * HOUR), result)


def _with_status(verdict: Verdict, status: Any) -> Verdict:
    return replace(verdict, result=replace(verdict.result, status=status))


def _joined(*windows: Verdict, reference: Reference | None = None) -> list[float | None]:
    past = PastPValues()
    return [past.combine("key", window, reference, "psi").result.p_value for window in windows]


def test_two_windows_that_each_point_weakly_somewhere_are_joined() -> None:
    first, second = _joined(_window(1, 0.02), _window(2, 0.02))
    assert first == pytest.approx(0.04), "the better of two tests costs a factor of two"
    assert second == pytest.approx(2 * combined_p_value(0.02, 0.02, 0.0))
    assert second is not None
    assert second < 0.005


def test_the_better_of_one_window_and_of_two_counts() -> None:
    _, strong = _joined(_window(1, 0.9), _window(2, 1e-6))
    assert strong == pytest.approx(2e-6)
    _, nothing = _joined(_window(1, 1e-6), _window(2, 0.06))
    assert nothing == pytest.approx(0.12), "what points nowhere is not drawn along by the window before"
    assert _joined(_window(1, 0.8)) == [1.0]


def test_windows_that_overlap_are_not_joined() -> None:
    first, overlapping, apart = _joined(_window(1, 0.02), _window(1.5, 0.02), _window(2, 0.02))
    assert first == overlapping == pytest.approx(0.04)
    assert apart == pytest.approx(2 * combined_p_value(0.02, 0.02, 0.0)), (
        "with the one an hour before, not with the last"
    )


def test_a_window_is_joined_with_the_last_one_only_and_not_with_one_of_long_ago() -> None:
    *_, third = _joined(_window(1, 1e-4), _window(2, 0.5), _window(3, 0.02))
    assert third == pytest.approx(min(0.04, 2 * combined_p_value(0.02, 0.5, 0.0)))
    _, late = _joined(_window(1, 1e-4), _window(5, 0.02))
    assert late == pytest.approx(0.04)


def test_targets_are_joined_each_with_its_own_past() -> None:
    past = PastPValues()
    past.combine("one", _window(1, 0.02), None, "psi")
    assert past.combine("other", _window(2, 0.02), None, "psi").result.p_value == pytest.approx(0.04)


@pytest.mark.parametrize("status", ["no_data", "error"])
def test_a_window_that_was_not_judged_is_no_past(status: Any) -> None:
    past = PastPValues()
    for window in (_with_status(_window(1, 0.02), status), _window(1, None)):
        assert past.combine("key", window, None, "psi") is window
    assert past.combine("key", _window(2, 0.02), None, "psi").result.p_value == pytest.approx(0.04)


def _alike(effects: Mapping[int, float]) -> Reference:
    """A reference whose x has these design effects."""
    rows = rows_of(Path("rows"), pa.table({"x": np.arange(100.0)}), Columns(), "m", "")
    made = create_reference(rows, name="training", version="", segments=(), source="", created="")
    return replace(made, fields={"x": replace(made.fields["x"], design_effects={"values": effects})})


def test_the_more_neighbours_have_in_common_the_less_a_second_window_says() -> None:
    windows = (_window(1, 0.02, rows=300), _window(2, 0.02, rows=300))
    apart, some, same = (
        _joined(*windows, reference=_alike(effects))[1]
        for effects in ({100: 2.0, 1000: 2.0}, {100: 2.0, 1000: 6.0}, {100: 2.0, 1000: 20.0})
    )
    assert apart == pytest.approx(2 * combined_p_value(0.02, 0.02, 0.0))
    assert apart is not None
    assert some is not None
    assert apart < some < 0.04
    assert same == pytest.approx(0.04), "all of it"


def test_windows_share_the_error_of_a_small_reference() -> None:
    large, small = (
        _joined(_window(1, 0.02, reference_rows=rows), _window(2, 0.02, reference_rows=rows))[1]
        for rows in (1_000_000, 1000)
    )
    assert large == pytest.approx(2 * combined_p_value(0.02, 0.02, 0.001), rel=1e-3)
    assert small == pytest.approx(2 * combined_p_value(0.02, 0.02, 0.5)), (
        "half of what they have in common is the reference"
    )


def test_no_chain_leads_from_something_critical_to_a_warning_about_another_field() -> None:
    dropped = _alert("missing", "x", severity="warning")
    drifted, moved = _alert("psi", "x", severity="critical"), _alert("psi", PREDICTION, severity="critical")
    assert causes([dropped, drifted, moved]) == {drifted.id: dropped.id}


def test_segments_are_fine_by_metrics_that_fall_as_well() -> None:
    whole, bad = (_alert("accuracy", segment=s, value=v, threshold=0.9) for s, v in (("", 0.83), ("town=a", 0.51)))
    fine = _fine("accuracy", "", "town=b", value=0.99, threshold=0.9)
    assert causes([whole, bad, fine]) == {whole.id: bad.id}
