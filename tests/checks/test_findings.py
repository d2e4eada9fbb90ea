"""Each silent failure of a field or of the schema is found and named within two windows of a thousand rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.lab.simulate.cells import Editable
from otel_mlmon.lab.simulate.faults import Fault, inject
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import Group, parse_text
from otel_mlmon.values import Alert, Reference, RowBlock, State

SECOND = 10**9
ROWS = 1000  # in a window
DATES = [f"2024-{month:02}-{day:02}" for month in range(1, 13) for day in (5, 25)]
Alerts = dict[tuple[str, str], Alert]  # by (rule, field)


def _block(columns: dict[str, Any]) -> RowBlock:
    rows = rows_of(Path("houses"), pa.table(columns), Columns(), "m", "")
    return replace(rows, times=np.arange(len(rows)) * SECOND)


def _houses(seed: int, n: int) -> RowBlock:
    rng = np.random.default_rng(seed)
    return _block(
        {
            "area": rng.normal(100, 20, n).clip(20),
            "income": rng.lognormal(1, 0.5, n),
            "temperature": rng.normal(12, 9, n),
            "year": rng.integers(1900, 2021, n),
            "rooms": rng.integers(1, 9, n),
            "garages": rng.choice([-1, 0, 1, 2], n, p=[0.3, 0.3, 0.3, 0.1]),
            "town": rng.choice(["Lindau", "Konstanz", "Bregenz"], n, p=[0.5, 0.3, 0.2]),
            "street": rng.choice(["Straße", "Gasse", "Weg"], n),
            "sold": rng.choice(DATES, n),
        }
    )


def _reference(rows: RowBlock) -> Reference:
    normal = replace(rows, times=rows.times * 0)
    return create_reference(normal, name="training", version="", segments=(), source="", created="")


def _groups(*rules: str, rows: int = ROWS) -> Sequence[Group]:
    lines = "\n".join(f"      - {{{rule}}}" for rule in rules)
    head = f"groups:\n  - name: g\n    model: m\n    window: {rows}s\n    interval: {rows}s\n    rules:\n"
    return parse_text(head + lines + "\n", Path("rules.yaml")).groups


METHODS = ("missing", "type", "format", "range", "default_value", "stuck", "schema")
EVERY = _groups(*(f"alert: {method}, integrity: {method}" for method in METHODS))
NORMAL = _houses(1, 5000)
REFERENCE = _reference(NORMAL)
LIVE = _houses(2, 2 * ROWS)


def _windows(
    rows: RowBlock, groups: Sequence[Group] = EVERY, reference: Reference = REFERENCE, size: int = ROWS
) -> list[Alerts]:
    ticks = simulate(groups, rows, [reference], pane_ns=size * SECOND)
    return [{(a.rule, a.target.field): a for a in tick.alerts()} for tick in ticks]


def _spoilt(*faults: Fault, rows: RowBlock = LIVE) -> RowBlock:
    for fault in faults:  # the same seed: in the same rows
        rows = inject(rows, fault, np.random.default_rng(3), NORMAL)
    return rows


def _rewritten(field: str, percent: int, how: Callable[[str, int], str], rows: RowBlock = LIVE) -> RowBlock:
    """Text in another form, in the first `percent` of every hundred rows."""
    cells = Editable.of(rows.fields[field])
    hit = np.flatnonzero(np.arange(len(rows)) % 100 < percent)
    cells.put_text(hit, [how(cells.text(row), row) for row in hit.tolist()])
    return replace(rows, fields={**rows.fields, field: cells.freeze()})


def _replaced(field: str, old: float, new: float) -> RowBlock:
    cells = Editable.of(LIVE.fields[field])
    assert cells.numbers is not None
    hit = np.flatnonzero(cells.numbers == old)
    cells.put_numbers(hit, np.full(len(hit), new), State.INT)
    return replace(LIVE, fields={**LIVE.fields, field: cells.freeze()})


def _numbers(field: str, percent: int, state: State, how: Callable[[Any], Any]) -> RowBlock:
    cells = Editable.of(LIVE.fields[field])
    assert cells.numbers is not None
    hit = np.flatnonzero(np.arange(len(LIVE)) % 100 < percent)
    cells.put_numbers(hit, how(cells.numbers[hit]), state)
    return replace(LIVE, fields={**LIVE.fields, field: cells.freeze()})


def _firing(alerts: Alerts) -> dict[tuple[str, str], str]:
    """What somebody is told of, and what it is called."""
    return {key: alert.verdict.result.finding for key, alert in alerts.items() if alert.phase == "firing"}


def _by_second_window(rows: RowBlock) -> Alerts:
    """Alerts of the first of two windows in which something fires."""
    return next((alerts for alerts in _windows(rows) if _firing(alerts)), {})


def test_windows_without_a_fault_are_quiet() -> None:
    for alerts in _windows(LIVE):
        assert {alert.verdict.result.status for alert in alerts.values()} <= {"ok", "no_data"}
        assert {alert.verdict.result.finding for alert in alerts.values()} == {""}


# Name → (faults in the same rows, rule, field, finding, words of the message).
FAULTS: dict[str, tuple[tuple[Fault, ...], str, str, str, list[str]]] = {
    "absent": ((Fault("drop", "area", 0.02),), "missing", "area", "absent", ["1000 rows without a value", "absent 2"]),
    "absent text": ((Fault("drop", "town", 0.02),), "missing", "town", "absent", ["absent 2", "null 0"]),
    "null": ((Fault("null", "rooms", 0.02),), "missing", "rooms", "null", ["absent 0", "null 2"]),
    "NaN": ((Fault("nan", "income", 0.02),), "missing", "income", "nan", ["null 0", "nan 2"]),
    "empty text": ((Fault("empty", "town", 0.02),), "missing", "town", "empty", ["nan 0", "empty 2"]),
    "number as text": ((Fault("retype", "area", 0.05),), "type", "area", "type", ["are no float", "string "]),
    "integer as text": ((Fault("retype", "year", 0.05),), "type", "year", "type", ["are no int", "string "]),
    "text as number": ((Fault("retype", "town", 0.05),), "type", "town", "type", ["are no string", "int "]),
    "fraction for an integer": (
        (Fault("float_for_int", "rooms", 0.05),),
        "type",
        "rooms",
        "type",
        ["no int", "float "],
    ),
    "beyond 53 bits": (
        (Fault("big_int", "year", 0.05),),
        "format",
        "year",
        "big_int",
        ["beyond int", "reference 0.0%"],
    ),
    "decimals lost": ((Fault("precision", "area", 0.1),), "format", "area", "precision", ["are whole"]),
    "encoding": ((Fault("encoding", "street", 0.05),), "format", "street", "encoding", ["are mojibake"]),
    "encoding of ASCII": ((Fault("encoding", "town", 0.05),), "format", "town", "encoding", ["in the reference 0.0%"]),
    "other case": ((Fault("case", "town", 0.05),), "format", "town", "case", ["are other case"]),
    "padded": ((Fault("pad", "town", 0.05),), "format", "town", "padding", ["are padded"]),
    "0 for what is not known": (
        (Fault("default", "area", 0.05, value=0),),
        "default_value",
        "area",
        "default",
        ["area is 0 in", "0.0%"],
    ),
    "-1 for what is not known": (
        (Fault("default", "area", 0.05, value=-1),),
        "default_value",
        "area",
        "default",
        ["area is -1 in", "0.0%"],
    ),
    "unknown for what is not known": (
        (Fault("default", "town", 0.05),),
        "default_value",
        "town",
        "default",
        ["town is 'unknown' in"],
    ),
    "the median for what is not known": (
        (Fault("impute", "area", 0.05),),
        "default_value",
        "area",
        "default",
        ["area is 99.", "in the reference 0.0%"],
    ),
    "stuck number": (
        (Fault("stuck", "area"),),
        "stuck",
        "area",
        "stuck",
        ["100.0% of 1000 values are", "at most 0.0%"],
    ),
    "stuck integer": ((Fault("stuck", "rooms"),), "stuck", "rooms", "stuck", ["100.0% of 1000 values are 2"]),
    "stuck text": ((Fault("stuck", "town"),), "stuck", "town", "stuck", ["100.0% of 1000 values are 'Konstanz'"]),
    "beyond the range": (
        (Fault("range", "area", 0.05),),
        "range",
        "area",
        "range",
        ["numbers outside 29.0239 to 178.636", "like none seen before"],
    ),
    "integers beyond the range": ((Fault("range", "rooms", 0.05),), "range", "rooms", "range", ["outside 1 to 8"]),
    "new category": (
        (Fault("new_category", "town", 0.05, value="Meersburg"),),
        "range",
        "town",
        "new_category",
        ["'Meersburg' "],
    ),
    "date in another order": (
        (Fault("new_category", "sold", 0.05, value="24.12.2024"),),
        "format",
        "sold",
        "date_format",
        ["other date"],
    ),
    "number as text in a text field": (
        (Fault("new_category", "town", 0.05, value="17.5"),),
        "format",
        "town",
        "numeric_text",
        ["numeric text"],
    ),
    "column removed": ((Fault("remove", "area"),), "schema", "", "removed", ["area removed"]),
    "column added": ((Fault("add", "colour"),), "schema", "", "added", ["colour added"]),
    "column renamed": (
        (Fault("rename", "area", other="surface"),),
        "schema",
        "",
        "renamed",
        ["area renamed to surface"],
    ),
    "text column renamed": (
        (Fault("rename", "town", other="city"),),
        "schema",
        "",
        "renamed",
        ["town renamed to city"],
    ),
    "renamed in some rows": (
        (Fault("rename", "area", 0.05, other="surface"),),
        "schema",
        "",
        "renamed",
        ["area renamed to surface"],
    ),
    "columns swapped": (
        (Fault("swap", "area", other="income"),),
        "schema",
        "",
        "swapped",
        ["area and income swapped"],
    ),
    "text columns swapped": (
        (Fault("swap", "town", other="street"),),
        "schema",
        "",
        "swapped",
        ["street and town swapped"],
    ),
    "swapped in some rows": (
        (Fault("swap", "area", 0.05, other="year"),),
        "schema",
        "",
        "swapped",
        ["area and year swapped"],
    ),
}


@pytest.mark.parametrize(("faults", "rule", "field", "finding", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_the_only_thing_that_is_told_and_is_called_what_it_is(
    faults: Sequence[Fault], rule: str, field: str, finding: str, words: Sequence[str]
) -> None:
    alerts = _by_second_window(_spoilt(*faults))
    assert _firing(alerts) == {(rule, field): finding}
    message = alerts[rule, field].verdict.result.message
    assert [word for word in words if word not in message] == [], message


# (field, share of the rows, factor, its name in the message). The factor of few rows is known for a narrow field only.
UNITS = [
    *(
        ("area", share, factor, name)
        for share in (0.05, 1.0)
        for factor, name in ((1000.0, "times 1000"), (0.01, "divided by 100"), (3.28084, "times 3.281"))
    ),
    ("income", 0.05, 1000.0, "times 1000"),
    ("income", 1.0, 3.28084, "times 3.281"),
    ("temperature", 0.05, 0.01, "divided by 100"),
    ("year", 0.05, 1000.0, "times 1000"),
    ("rooms", 0.05, 1000.0, "times 1000"),
]


@pytest.mark.parametrize(("field", "share", "factor", "name"), UNITS)
def test_another_unit_is_told_with_its_factor_and_its_share(field: str, share: float, factor: float, name: str) -> None:
    alerts = _by_second_window(_spoilt(Fault("scale", field, share, factor)))
    assert _firing(alerts) == {("range", field): "unit"}
    message = alerts["range", field].verdict.result.message
    assert f"of the values are the usual ones {name}: another unit" in message
    told = float(message.split("%")[-2].split()[-1]) / 100
    assert told == pytest.approx(share, rel=0.2)


@pytest.mark.parametrize("field", ["area", "income", "year", "rooms"])
def test_a_sign_that_is_flipped_in_some_rows_is_told(field: str) -> None:
    alerts = _by_second_window(_spoilt(Fault("sign", field, 0.05)))
    assert _firing(alerts) == {("range", field): "sign"}
    assert "are the usual ones with the sign flipped" in alerts["range", field].verdict.result.message


def test_a_default_that_has_become_another_one_is_told_by_the_change_of_its_share() -> None:
    alerts = _by_second_window(_replaced("garages", -1, 0))
    assert _firing(alerts) == {("default_value", "garages"): "default"}
    verdict = alerts["default_value", "garages"].verdict
    assert verdict.result.message.startswith(("garages is -1 in 0.0% of the rows", "garages is 0 in 6"))
    assert verdict.result.value == pytest.approx(0.3, abs=0.05)
    to_a_new_one = _by_second_window(_replaced("garages", -1, -9))
    assert _firing(to_a_new_one) == {("default_value", "garages"): "default"}


@pytest.mark.parametrize(("bits", "known"), [(31, False), (33, True), (54, True)])
def test_integers_are_big_from_where_32_bits_end(bits: int, known: bool) -> None:
    rows = _numbers("year", 5, State.INT, lambda x: 2.0**bits - 2 * x)
    alerts = _by_second_window(rows)
    assert (alerts["format", "year"].verdict.result.finding == "big_int") is known
    assert ("format", "year") in _firing(alerts) or not known


def test_new_categories_are_told_with_their_names_and_counts_most_frequent_first() -> None:
    names = ["Meersburg"] * 4 + ["Überlingen"] * 2 + ["Arbon"]
    alerts = _by_second_window(_rewritten("town", 7, lambda _, row: names[row % 100]))
    message = alerts["range", "town"].verdict.result.message
    assert message == "7.0% of 1000 values in unknown categories: 'Meersburg' 40, 'Überlingen' 20, 'Arbon' 10"
    assert alerts["range", "town"].verdict.result.finding == "new_category"


def test_hundreds_of_new_categories_are_one_finding_with_a_short_message() -> None:
    alerts = _by_second_window(_rewritten("town", 50, lambda text, row: f"{text}-{row:05}"))
    assert _firing(alerts) == {("range", "town"): "cardinality"}
    message = alerts["range", "town"].verdict.result.message
    assert message.startswith("50.0% of 1000 values in unknown categories, 32 or more different ones: ")
    assert len(message) < 250


def test_dates_of_many_days_in_another_order_are_told_as_dates_and_not_as_categories() -> None:
    def german(date: str, _: int) -> str:
        year, month, day = date.split("-")
        return f"{day}.{month}.{year}"

    assert _firing(_by_second_window(_rewritten("sold", 10, german))) == {("format", "sold"): "date_format"}


def test_an_integer_is_a_fine_float_and_a_float_is_no_integer() -> None:
    whole_areas = _numbers("area", 100, State.INT, np.rint)
    for alerts in _windows(whole_areas):
        assert (alerts["type", "area"].verdict.result.status, alerts["type", "area"].verdict.result.value) == (
            "ok",
            0.0,
        )
    float_rooms = _numbers("rooms", 5, State.FLOAT, lambda x: x)
    alerts = _by_second_window(float_rooms)
    assert _firing(alerts) == {("type", "rooms"): "type"}
    assert alerts["type", "rooms"].verdict.result.message == "5.0% of 1000 values are no int: int 950, float 50"


def test_a_stated_type_is_judged_whatever_the_reference_says() -> None:
    (first, *_) = _windows(LIVE, _groups("alert: type, integrity: type, expect: string, features: [rooms, town]"))
    assert {field: a.verdict.result.status for (_, field), a in first.items()} == {"rooms": "breach", "town": "ok"}


def test_beyond_a_second_limit_the_severity_is_critical() -> None:
    groups = _groups(
        "alert: range, integrity: range, critical: 10%, features: [area], labels: {severity: warning}",
        "alert: missing, integrity: missing, above: 1%, critical: 10%, features: [area], labels: {severity: warning}",
        "alert: default_value, integrity: default_value, critical: 10%, features: [area], labels: {severity: warning}",
    )
    kinds = {"range": Fault("range", "area"), "missing": Fault("drop", "area")}
    kinds["default_value"] = Fault("default", "area", value=0)
    for rule, fault in kinds.items():
        for share, level, severity in ((0.05, "", "warning"), (0.2, "critical", "critical")):
            alert = _windows(_spoilt(replace(fault, fraction=share)), groups)[-1][rule, "area"]
            found = (alert.verdict.result.status, alert.verdict.result.level, alert.labels["severity"])
            assert found == ("breach", level, severity), (rule, share)


def test_fields_that_go_missing_together_are_one_alert_with_the_others_under_it() -> None:
    gone = ["income", "rooms", "town", "year"]
    alerts = _windows(_spoilt(*(Fault("drop", field, 0.1) for field in gone)))[0]
    assert _firing(alerts) == {("schema", ""): "dropped_together"}
    schema = alerts["schema", ""]
    assert schema.verdict.result.value == len(gone)
    assert all(field in schema.verdict.result.message for field in gone)
    assert schema.verdict.result.message.endswith("dropped together")
    under = {key: alert for key, alert in alerts.items() if alert.phase == "suppressed"}
    assert {("missing", field) for field in gone} <= set(under)
    assert {alert.cause for alert in under.values()} == {schema.id}


def test_two_fields_that_go_missing_are_two_alerts() -> None:
    alerts = _windows(_spoilt(Fault("drop", "rooms", 0.1), Fault("drop", "town", 0.1)))[0]
    assert _firing(alerts) == {("missing", "rooms"): "absent", ("missing", "town"): "absent"}


def test_all_changes_of_the_schema_are_one_alert() -> None:
    faults = (Fault("remove", "rooms"), Fault("add", "colour"), Fault("rename", "area", other="surface"))
    alerts = _windows(_spoilt(*faults))[0]
    assert _firing(alerts) == {("schema", ""): "renamed"}
    assert alerts["schema", ""].verdict.result.message == "area renamed to surface; rooms removed; colour added"
    assert alerts["schema", ""].verdict.result.value == 4


def test_what_may_come_and_go_is_no_change_of_the_schema() -> None:
    groups = _groups("alert: schema, integrity: schema, ignore: ['r*', colour]")
    for alerts in _windows(_spoilt(Fault("remove", "rooms"), Fault("add", "colour")), groups):
        assert (alerts["schema", ""].verdict.result.status, alerts["schema", ""].verdict.result.value) == ("ok", 0.0)


def _exchangeable(seed: int, n: int) -> RowBlock:
    rng = np.random.default_rng(seed)
    sizes = {f"size_{i}": rng.normal(size=n) for i in range(4)}
    counts = {f"count_{i}": rng.integers(0, 30, n) for i in range(2)}
    kinds = {f"kind_{i}": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]) for i in range(2)}
    return _block({**sizes, **counts, **kinds})


CHANGES: dict[str, tuple[Fault, ...]] = {
    "nothing": (),
    "a swap that nobody could see": (Fault("swap", "size_0", other="size_1"), Fault("swap", "kind_0", other="kind_1")),
    "both moved alike": tuple(Fault("shift", f"size_{i}", amount=0.5) for i in range(2)),
    "both in another unit in some rows": tuple(Fault("scale", f"size_{i}", 0.05, 10.0) for i in range(2)),
    "both with a new category": tuple(Fault("new_category", f"kind_{i}", 0.05) for i in range(2)),
    "one moved": (Fault("shift", "count_0", amount=0.5),),
}


@pytest.mark.parametrize("faults", CHANGES.values(), ids=CHANGES)
def test_columns_with_one_distribution_are_never_called_swapped(faults: Sequence[Fault]) -> None:
    rows, made = _exchangeable(5, 3 * 10_000), _reference(_exchangeable(4, 5000))
    groups = _groups("alert: schema, integrity: schema", rows=10_000)
    windows = _windows(_spoilt_of(rows, faults), groups, made, 10_000)
    assert len(windows) == 3
    for alerts in windows:
        verdict = alerts["schema", ""].verdict
        assert (verdict.result.status, verdict.result.message) == ("ok", "8 fields as in the reference")


def _spoilt_of(rows: RowBlock, faults: Sequence[Fault]) -> RowBlock:
    for fault in faults:
        rows = inject(rows, fault, np.random.default_rng(6))
    return rows


def _twice(
    draw: Callable[[np.random.Generator, int], dict[str, Any]], n: int = 10 * ROWS
) -> tuple[RowBlock, Reference]:
    """Ten windows and a reference of 5,000 rows, drawn alike."""
    return _block(draw(np.random.default_rng(5), n)), _reference(_block(draw(np.random.default_rng(6), 5000)))


@pytest.mark.parametrize("known", [84, 190, 250, 1000])
def test_many_categories_that_are_as_ever_are_quiet(known: int) -> None:
    rows, reference = _twice(lambda rng, n: {"sold": [f"day {i}" for i in rng.integers(0, known, n).tolist()]})
    rules = (f"alert: {method}, integrity: {method}, confidence: 0.9999" for method in ("default_value", "range"))
    for alerts in _windows(rows, _groups(*rules), reference):
        assert _firing(alerts) == {}
        if known > 200:  # more than a reference keeps by name: what is new cannot be told
            assert alerts["range", "sold"].verdict.result.reason == "too_many_categories"


@pytest.mark.parametrize("bits", [20, 25, 30])
def test_wide_integers_beyond_the_range_are_no_other_unit(bits: int) -> None:
    rows, reference = _twice(lambda rng, n: {"account": rng.integers(1, 2**bits, n)}, 2 * ROWS)
    broken = inject(rows, Fault("range", "account", 0.05), np.random.default_rng(3), rows)
    assert _windows(broken, reference=reference)[0]["range", "account"].verdict.result.finding == "range"


def test_a_shift_is_not_held_back_by_what_happened_to_another_field() -> None:
    alerts = _by_second_window(_spoilt(Fault("shift", "area", amount=3.0), Fault("drop", "rooms", 0.1)))
    assert {field for _, field in _firing(alerts)} == {"area", "rooms"}


@pytest.mark.parametrize("factor", [0.01, 3.28084])
@pytest.mark.parametrize("share", [0.05, 1.0])
def test_integers_in_another_unit_are_told_once(factor: float, share: float) -> None:
    firing = _firing(_by_second_window(_spoilt(Fault("scale", "year", share, amount=factor))))
    assert list(firing.values()) == ["unit"], firing


def test_rare_names_in_two_columns_that_are_alike_are_not_swapped() -> None:
    names, shares = ["Lindau", "Konstanz", "Bregenz", "Wasserburg", "Nonnenhorn"], [0.5, 0.3, 0.1996, 0.0002, 0.0002]
    rows, reference = _twice(
        lambda rng, n: {name: rng.choice(names, n, p=shares) for name in ("origin", "destination")}, 40_000
    )
    found = [
        alerts["schema", ""].verdict
        for alerts in _windows(rows, _groups("alert: schema, integrity: schema"), reference)
    ]
    assert {verdict.result.status for verdict in found} == {"ok"}


def test_a_sign_that_is_flipped_in_all_rows_is_a_sign() -> None:
    alerts = _by_second_window(_spoilt(Fault("sign", "area")))
    assert alerts["range", "area"].verdict.result.finding == "sign"


def test_a_long_name_does_not_make_a_long_message() -> None:
    alerts = _by_second_window(_rewritten("town", 10, lambda text, row: "x" * 20_000))
    assert len(alerts["range", "town"].verdict.result.message) < 300


def test_constants_of_any_type_may_be_watched_in_any_field() -> None:
    rule = 'alert: default_value, integrity: default_value, values: [true, "unknown", -1, 2.5]'
    verdicts = [alert.verdict for alerts in _windows(LIVE, _groups(rule)) for alert in alerts.values()]
    assert {verdict.result.status for verdict in verdicts} == {"ok"}, verdicts
