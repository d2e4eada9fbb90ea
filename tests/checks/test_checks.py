"""Every check on good, bad and no data. No data is never ok, and one bad column never stops the others."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from batches import SECOND, ground_truth, predictions

from otel_mlmon.checks import registry
from otel_mlmon.engine.tick import Engine
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import DriftRule, parse_text
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Alert, Reference
from otel_mlmon.values.evidence_documents import evidence_to_document
from otel_mlmon.window import Plan, Windows

WINDOW = 1000 * SECOND
CHECKS = {
    "missing": "integrity: missing",
    "type": "integrity: type",
    "range": "integrity: range",
    "default_value": "integrity: default_value",
    "psi": "drift: psi",
    "kolmogorov_smirnov": "drift: kolmogorov_smirnov",
    "jensen_shannon": "drift: jensen_shannon",
    "chi_squared": "drift: chi_squared",
    "stuck": "integrity: stuck",
    "format": "integrity: format",
    "hellinger": "drift: hellinger",
    "wasserstein": "drift: wasserstein",
    "g_test": "drift: g_test",
    "anderson_darling": "drift: anderson_darling",
    "cramer_von_mises": "drift: cramer_von_mises",
    "l_infinity": "drift: l_infinity",
    "mean_shift": "drift: mean_shift",
    "quantile_shift": "drift: quantile_shift",
    "standard_deviation_shift": "drift: standard_deviation_shift",
    "cusum": "drift: cusum",
    "schema": "integrity: schema",
    "weighted": "drift: weighted",
    "pca": "drift: reconstruction_error",
    "duplicates": "integrity: duplicates",
    "expression": "{integrity: expression, expression: 'rooms > 0'}",
}
RULES = "\n".join(f"      - {{alert: {name}, {check.strip('{}')}}}" for name, check in CHECKS.items())


def _good(rng: random.Random, n: int) -> list[dict[str, Any]]:
    return [
        {
            "income": rng.gauss(50, 10),
            "rooms": rng.randint(1, 8),
            "garages": rng.choice([-1, 0, 1]),
            "town": rng.choice("abc"),
        }
        for _ in range(n)
    ]


def _reference(segments: tuple[str, ...] = ()) -> Reference:
    rng = random.Random(0)
    frame = pd.DataFrame(_good(rng, 4000))
    frame["predicted"] = frame["income"] * 3
    frame["price"] = frame["predicted"] + [rng.gauss(0, 5) for _ in range(4000)]
    rows = rows_of(
        Path("f"),
        pa.Table.from_pandas(frame, preserve_index=False),
        Columns("predicted", "price", segments=segments),
        "m",
        "",
    )
    return create_reference(rows, name="training", version="", segments=segments, source="", created="")


REFERENCE = _reference(("town",))


class World:
    """A store, windows and an engine, and one group of rules."""

    def __init__(self, rules: str = RULES, *, reference: Reference | None = REFERENCE, head: str = "") -> None:
        self.store = Store(None)
        self.windows = Windows(self.store, lambda *_: reference, pane_ns=10 * SECOND)
        self.engine = Engine(
            self.windows,
            lambda *_: reference,
            self.store.documents,
            self._count,
            count_condition,
            aggregate=aggregate,
            ground_truth_horizon_ns=10 * WINDOW,
        )
        self.group = parse_text(
            f"groups:\n  - name: g\n    model: m\n    interval: 1000s\n    window: 1000s\n{head}    rules:\n{rules}"
        ).groups[0]
        segments = tuple(sorted({key for rule in self.group.rules for key in rule.segments}))
        self.windows.plan("m", Plan({"training": segments}), "plan", 0)
        self._number = 0

    def _count(self, target: Any, start: int, end: int, low: float | None, high: float | None) -> int:
        return self.store.rows.count_outside(target, start, end, low, high)

    def send(
        self, rows: list[dict[str, Any]], values: list[Any] | None = None, *, window: int = 0, version: str = "v1"
    ) -> list[str]:
        ids = [f"{self._number + i}" for i in range(len(rows))]
        self._number += len(rows)
        times = [window * WINDOW + i % 1000 * SECOND for i in range(len(rows))]
        if rows:
            batch = predictions(rows, values, ids=ids, times=times, version=version)
            self.store.commit([batch], 0)
            self.windows.touch("m", batch.times.to_numpy())
        return ids

    def tick(self, window: int = 0) -> dict[tuple[str, str, str], Alert]:
        """Verdicts by (rule, field, segment)."""
        end = (window + 1) * WINDOW
        self.windows.close("m", end)
        self.changed = self.engine.tick([self.group], "m", end)
        return {(a.rule, a.target.field, a.target.segment): a for a in self.engine.alerts()}


def _without(rows: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != field} for row in rows]


def test_good_data_is_ok_by_every_check() -> None:
    world = World()
    world.send(_good(random.Random(1), 1000))
    found = world.tick()
    assert {a.verdict.result.status for a in found.values() if a.target.field != "(prediction)"} == {"ok"}, found
    assert ("kolmogorov_smirnov", "town", "") not in found, "categories have no distribution function"


FAULTS: dict[str, tuple[Any, str, str]] = {
    "a field left out": (lambda row: row.pop("rooms"), "missing", "rooms"),
    "a null": (lambda row: row.update(rooms=None), "missing", "rooms"),
    "a NaN": (lambda row: row.update(income=math.nan), "missing", "income"),
    "a number as text": (lambda row: row.update(rooms=str(row["rooms"])), "type", "rooms"),
    "a fraction for a whole number": (lambda row: row.update(rooms=2.5), "type", "rooms"),
    "another unit": (lambda row: row.update(income=row["income"] * 1000), "range", "income"),
    "a new category": (lambda row: row.update(town="elsewhere"), "range", "town"),
    "another default": (
        lambda row: row.update(garages=0) if row["garages"] == -1 else None,
        "default_value",
        "garages",
    ),
}


@pytest.mark.parametrize(("spoil", "rule", "field"), FAULTS.values(), ids=FAULTS)
def test_a_fault_in_a_fifth_of_the_rows_is_found_and_named(spoil: Any, rule: str, field: str) -> None:
    world = World()
    rows = _good(random.Random(2), 1000)
    for row in rows if rule == "default_value" else rows[::5]:
        spoil(row)
    world.send(rows)
    found = world.tick()
    assert found[rule, field, ""].verdict.result.status == "breach", found[rule, field, ""].verdict
    assert {f for (r, f, _), a in found.items() if r == rule and a.verdict.result.status == "breach"} == {field}
    json.dumps(evidence_to_document(found[rule, field, ""].verdict.result.evidence))


def test_a_shift_of_the_distribution_is_found_by_every_method() -> None:
    world = World()
    world.send([{**row, "income": row["income"] + 15} for row in _good(random.Random(3), 1000)])
    found = world.tick()
    for method in ("psi", "kolmogorov_smirnov", "jensen_shannon", "chi_squared"):
        assert found[method, "income", ""].verdict.result.status == "breach"
        assert found[method, "rooms", ""].verdict.result.status == "ok"


def test_what_was_cut_off_on_the_way_is_no_missing_field_but_an_incomplete_window() -> None:
    world = World()
    rows = _good(random.Random(16), 1000)
    for row in rows[:200]:
        del row["rooms"]
    batch = predictions(rows, times=[i * SECOND for i in range(1000)], lost=[1] * 200 + [0] * 800)
    world.store.commit([batch], 0)
    world.windows.touch("m", batch.times.to_numpy())
    found = world.tick()
    for rule in ("missing", "schema"):
        verdict = found[rule, "rooms" if rule == "missing" else "", ""].verdict
        assert verdict.result.status == "ok", verdict
        assert "the window is incomplete: 200 rows had values cut off on the way" in verdict.result.message


EMPTY: dict[str, Any] = {
    "absent": "absent",
    "null": None,
    "NaN": math.nan,
    "infinite": math.inf,
    "text": "",
    "list": [1],
}


@pytest.mark.parametrize("rows", [0, 1, 1000])
@pytest.mark.parametrize("value", EMPTY.values(), ids=EMPTY)
@pytest.mark.parametrize("reference", [REFERENCE, None], ids=["", "without reference"])
def test_a_column_without_usable_values_is_no_data_or_a_breach(
    value: Any, rows: int, reference: Reference | None
) -> None:
    world = World(reference=reference)
    good = _good(random.Random(4), rows)
    world.send(_without(good, "income") if value == "absent" else [{**row, "income": value} for row in good])
    found = world.tick()
    for (rule, field, _), alert in found.items():
        if field == "income":
            # Infinite or of another type, it is at least there; and a list is no float.
            fine = rule in ("missing", "type") and value not in ("absent", None) and value == value and rows == 1000
            assert alert.verdict.result.status in ("no_data", "breach") or fine, (rule, alert.verdict)
        elif not field:
            assert alert.verdict.result.status != "error", (rule, alert.verdict)
        elif rows == 1000 and reference is not None and field != "(prediction)":
            assert alert.verdict.result.status == "ok", (rule, field, alert.verdict)
        elif rows < 1000:
            assert alert.verdict.result.status == "no_data", (rule, field, alert.verdict)
    if reference is not None:
        assert ("missing", "income", "") in found


@pytest.mark.parametrize("value", [7.0, 2**53, -(2**62), 10**30, 1e308])
def test_a_stuck_or_huge_value_is_a_breach_of_something(value: float) -> None:
    world = World()
    world.send([{**row, "income": value} for row in _good(random.Random(5), 1000)])
    found = world.tick()
    assert "breach" in {a.verdict.result.status for (_, field, _), a in found.items() if field == "income"}
    assert "error" not in {a.verdict.result.status for a in found.values()}


def test_few_rows_over_the_limit_are_not_sure_and_many_rows_below_it_not_large() -> None:
    world = World("      - {alert: missing, integrity: missing, above: 2%, features: [rooms]}")
    few = _good(random.Random(6), 40)
    del few[0]["rooms"]
    world.send(few)
    verdict = world.tick()["missing", "rooms", ""].verdict
    assert (verdict.result.status, verdict.result.reason) == ("ok", "not_significant")
    many = _good(random.Random(7), 20_000)
    for row in many[::66]:
        del row["rooms"]
    world.send(many, window=1)
    verdict = world.tick(1)["missing", "rooms", ""].verdict
    assert (verdict.result.status, verdict.result.reason) == ("ok", "within_threshold")


def test_a_stated_range_is_counted_in_the_rows() -> None:
    world = World(
        "      - {alert: range, integrity: range, maximum: 5.5, above: 1%, features: [rooms], segments: [town]}"
    )
    rows = _good(random.Random(8), 500)
    world.send(rows)
    found = world.tick()
    for segment in ("", "town=a"):
        mine = [row for row in rows if segment in ("", f"town={row['town']}")]
        assert found["range", "rooms", segment].verdict.result.value == sum(r["rooms"] > 5.5 for r in mine) / len(mine)


def test_a_check_that_explodes_leaves_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_rule: Any, _case: Any) -> Any:
        raise ZeroDivisionError("bang")

    monkeypatch.setitem(registry.CHECKS, DriftRule, registry.Check(explode, "field"))  # type: ignore[arg-type]
    world = World()
    world.send(_good(random.Random(9), 1000))
    found = world.tick()
    assert found["psi", "income", ""].verdict.result.status == "error"
    assert "bang" in found["psi", "income", ""].verdict.result.message
    assert found["missing", "income", ""].verdict.result.status == "ok"


def test_one_bad_segment_is_named_and_the_whole_is_fine() -> None:
    world = World(
        "      - {alert: PricesOff, performance: rmse, worse_than_reference: 50%, min_ground_truth: 50}",
        head="    segments: [town]\n",
    )
    rng = random.Random(10)
    rows = [{**row, "town": "a" if rng.random() < 0.1 else rng.choice("bc")} for row in _good(rng, 1000)]
    values = [row["income"] * 3 for row in rows]
    ids = world.send(rows, values)
    truth = [v * (0.9 if row["town"] == "a" else 1) + rng.gauss(0, 5) for v, row in zip(values, rows, strict=True)]
    world.store.commit([ground_truth(ids, truth, times=[SECOND] * 1000)], 0)
    world.windows.touch_ground_truth("m")
    found = world.tick()
    statuses = {segment: alert.verdict.result.status for (_, _, segment), alert in found.items()}
    assert statuses == {"": "ok", "town=a": "breach", "town=b": "ok", "town=c": "ok"}


def test_performance_is_judged_on_the_newest_window_with_enough_ground_truth() -> None:
    world = World("      - {alert: rmse, performance: rmse, above: 10, min_ground_truth: 100, min_coverage: 50%}")
    rng = random.Random(11)
    ids = [world.send(_good(rng, 300), [1.0] * 300, window=w) for w in range(3)]
    assert world.tick(2)["rmse", "", ""].verdict.result.reason == "too_little_ground_truth"
    for known, expected in (([0], 0), ([0, 1], 1)):
        late = [i for w in known for i in ids[w]]
        world.store.commit([ground_truth(late, [2.0] * len(late), times=[SECOND] * len(late))], 0)
        world.windows.touch_ground_truth("m")
        verdict = world.tick(2)["rmse", "", ""].verdict
        assert (verdict.start, verdict.result.status, verdict.result.value) == (
            expected * WINDOW,
            "ok",
            pytest.approx(1.0),
        )


def test_a_replaced_version_is_not_judged_any_more_and_silence_is_no_data() -> None:
    world = World("      - {alert: missing, integrity: missing, features: [rooms]}")
    world.send(_without(_good(random.Random(12), 300), "rooms"), version="old")
    assert world.tick()["missing", "rooms", ""].state.phase == "firing"
    world.send(_good(random.Random(13), 300), window=1, version="new")
    found = world.tick(1)
    assert [a.target.version for a in found.values()] == ["new"]
    assert [(a.target.version, a.state.phase) for a in world.changed] == [("old", "inactive")]
    assert world.tick(2)["missing", "rooms", ""].verdict.result.status == "no_data"


def test_a_firing_alert_survives_a_restart_with_its_evidence() -> None:
    world = World()
    rows = _without(_good(random.Random(14), 1000), "rooms")
    world.send(rows)
    before = world.tick()["missing", "rooms", ""]
    world.engine = Engine(
        world.windows,
        lambda *_: REFERENCE,
        world.store.documents,
        world._count,
        count_condition,
        aggregate=aggregate,
        ground_truth_horizon_ns=WINDOW,
    )
    (after,) = [a for a in world.engine.alerts() if a.id == before.id]
    assert (after.state, after.labels, after.verdict.result.message) == (
        before.state,
        before.labels,
        before.verdict.result.message,
    )
    first, second = (json.dumps(evidence_to_document(one.verdict.result.evidence)) for one in (before, after))
    assert second == first
    world.send(_good(random.Random(15), 1000), window=1)
    resolved = world.tick(1)["missing", "rooms", ""]
    assert resolved.state.resolved_at == 2 * WINDOW
    assert resolved.last_breach is not None and resolved.last_breach.result.value == 1.0
