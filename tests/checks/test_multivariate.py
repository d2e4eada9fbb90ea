"""Drift of several fields together: broken relations, what the model uses, and its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.lab.simulate.faults import Fault, inject
from otel_mlmon.lab.simulate.memory import cut
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.values import Reference, RowBlock, Verdict
from otel_mlmon.wire.semconv import score_field

HOUR = 3_600_000_000_000
N = 1000  # rows of a window


def _rows(columns: Mapping[str, Any], **named: Any) -> RowBlock:
    """One hour of rows."""
    rows = rows_of(Path("rows"), pa.table(dict(columns)), Columns(**named), "m", "")
    return replace(rows, times=np.arange(len(rows)) * HOUR // len(rows))


def _reference(rows: RowBlock, *segments: str) -> Reference:
    rows = replace(rows, times=rows.times * 0)
    return create_reference(rows, name="training", version="", segments=segments, source="", created="")


def _verdicts(
    rows: RowBlock, made: Reference | None, *rules: str, head: str = ""
) -> dict[tuple[str, str, str], Verdict]:
    """By rule, field and segment, over the hour."""
    lines = "".join(f"      - {rule}\n" for rule in rules)
    text = f"groups:\n  - name: g\n    model: m\n    window: 1h\n    interval: 1h\n{head}    rules:\n{lines}"
    groups = parse_text(text, Path("rules.yaml")).groups
    (tick,) = simulate(groups, rows, [made] if made else [], pane_ns=HOUR)
    return {(a.rule, a.target.field, a.target.segment): a.verdict for a in tick.alerts()}


def _houses(seed: int, n: int = N) -> dict[str, Any]:
    """Three features, of which the first two go together."""
    rng = np.random.default_rng(seed)
    rooms = rng.normal(5, 1, n)
    return {"rooms": rooms, "area": 25 * rooms + rng.normal(0, 8, n), "age": rng.normal(40, 10, n)}


def _shuffled(columns: Mapping[str, Any], name: str, share: float = 1.0) -> dict[str, Any]:
    """Some of the rows have the value of another row."""
    rng, column = np.random.default_rng(99), np.array(columns[name])
    place = np.flatnonzero(rng.random(len(column)) < share)
    column[place] = column[rng.permutation(place)]
    return {**columns, name: column}


HOUSES = _reference(_rows(_houses(0, 5000)))
RELATION = "{alert: Relation, drift: reconstruction_error}"
SINGLE = tuple(
    f"{{alert: {method}, drift: {method}}}"
    for method in ("psi", "kolmogorov_smirnov", "jensen_shannon", "wasserstein", "mean_shift", "quantile_shift")
)


def test_a_broken_relation_is_found_though_each_feature_alone_is_as_ever() -> None:
    broken = _shuffled(_houses(1), "area")
    found = _verdicts(_rows(broken), HOUSES, RELATION, *SINGLE)
    relation = found.pop(("Relation", "", ""))
    assert (relation.result.status, relation.result.finding, relation.result.rows, relation.result.reference_rows) == (
        "breach",
        "shift",
        N,
        5000,
    )
    assert "differ from their reconstruction by" in relation.result.message
    assert len(found) == 3 * len(SINGLE)
    assert {v.result.status for v in found.values()} == {"ok"}


@pytest.mark.parametrize("head", ["", "    false_alarms: 1 per month\n"], ids=["confidence", "budget"])
def test_an_unchanged_stream_is_quiet(head: str) -> None:
    for seed in range(2, 12):
        found = _verdicts(_rows(_houses(seed)), HOUSES, RELATION, *SINGLE, head=head)
        assert {v.result.status for v in found.values()} == {"ok"}, found


def test_the_limit_and_the_critical_limit_are_relative_changes_of_the_error() -> None:
    rows = _rows(_shuffled(_houses(1), "area", 0.5))
    one = _verdicts(rows, HOUSES, RELATION)["Relation", "", ""]
    assert one.result.threshold == pytest.approx(0.1)
    assert one.result.value is not None
    between = _verdicts(
        rows,
        HOUSES,
        f"{{alert: Above, drift: reconstruction_error, above: {one.result.value + 0.01:.4f}}}",
        f"{{alert: Below, drift: reconstruction_error, above: 0.05, critical: {one.result.value - 0.01:.4f}}}",
    )
    assert (between["Above", "", ""].result.status, between["Above", "", ""].result.reason) == (
        "ok",
        "within_threshold",
    )
    assert (between["Below", "", ""].result.status, between["Below", "", ""].result.level) == ("breach", "critical")


def test_few_rows_beyond_the_limit_are_not_sure() -> None:
    rule = "{alert: Relation, drift: reconstruction_error, min_rows: 10, above: 1%}"
    found = [_verdicts(cut(_rows(_houses(seed)), 0, 12), HOUSES, rule)["Relation", "", ""] for seed in range(20, 30)]
    assert {v.result.status for v in found} == {"ok"}
    assert "not_significant" in {v.result.reason for v in found}


def test_a_text_where_a_number_was_is_no_data() -> None:
    found = _verdicts(_rows({**_houses(3), "area": [f"{i} m2" for i in range(N)]}), HOUSES, RELATION)
    assert (found["Relation", "", ""].result.status, found["Relation", "", ""].result.reason) == (
        "no_data",
        "no_values",
    )


def test_too_few_complete_rows_a_lost_feature_and_no_reference_are_no_data() -> None:
    houses = _houses(4)
    few = {**houses, "age": pa.array(houses["age"], mask=np.arange(N) >= 150)}
    lost = {name: column for name, column in houses.items() if name != "age"}
    for rows, made in ((few, HOUSES), (lost, HOUSES), (houses, None)):
        assert _verdicts(_rows(rows), made, RELATION)["Relation", "", ""].result.status == "no_data"
    one = _reference(_rows({"age": _houses(0, 5000)["age"]}))
    found = _verdicts(_rows(houses), one, RELATION)["Relation", "", ""]
    assert (found.result.status, found.result.reason) == ("no_data", "no_reference"), "one feature depends on no other"


def test_rows_with_a_hole_are_left_out_and_do_not_count_as_broken() -> None:
    houses = _houses(5)
    holes = {**houses, "area": pa.array(houses["area"], mask=np.arange(N) % 3 == 0)}
    found = _verdicts(_rows(holes), HOUSES, RELATION)["Relation", "", ""]
    assert (found.result.status, found.result.rows) == ("ok", N - len(range(0, N, 3)))


IMPORTANCES = {"rooms": 0.95, "area": 0.0, "age": 0.05}
WEIGHTED = "{alert: Used, drift: weighted}"


def _moved(name: str, seed: int = 6) -> RowBlock:
    """One feature moved by six tenths of its standard deviation."""
    rows = _rows(_houses(seed))
    return inject(rows, Fault("shift", name, amount=0.6), np.random.default_rng(0))


def _used(rows: RowBlock, importances: Mapping[str, float], rule: str = WEIGHTED) -> Verdict:
    return _verdicts(rows, replace(HOUSES, importances=importances), rule)["Used", "", ""]


def test_drift_of_what_the_model_hardly_uses_does_not_fire_and_of_what_it_uses_does() -> None:
    assert {name: _used(_moved(name), IMPORTANCES).result.status for name in IMPORTANCES} == {
        "rooms": "breach",
        "area": "ok",
        "age": "ok",
    }
    assert _used(_moved("rooms"), IMPORTANCES).result.message.startswith("mostly rooms (")
    assert _used(_rows(_houses(6)), IMPORTANCES).result.status == "ok"


def test_without_importances_all_features_weigh_the_same() -> None:
    none, same = (
        {name: _used(_moved(name), importances) for name in IMPORTANCES}
        for importances in ({}, dict.fromkeys(IMPORTANCES, 7.0))
    )
    assert {v.result.status for v in none.values()} == {"breach"}
    assert [v.result.value for v in none.values()] == pytest.approx([v.result.value for v in same.values()])
    alone = _verdicts(_moved("rooms"), HOUSES, "{alert: JS, drift: jensen_shannon, features: [rooms]}")
    distance = alone["JS", "rooms", ""].result.value
    assert distance is not None
    assert none["rooms"].result.value == pytest.approx((distance**3 / 3) ** (1 / 3), rel=0.05)


def test_the_unit_of_importances_does_not_matter() -> None:
    thousands = {name: 1000 * weight for name, weight in IMPORTANCES.items()}
    one, other = _used(_moved("rooms"), IMPORTANCES), _used(_moved("rooms"), thousands)
    assert one.result.value == pytest.approx(other.result.value)


def test_weighted_drift_measures_by_the_method_and_the_features_that_the_rule_names() -> None:
    rule = "{alert: Used, drift: weighted, method: wasserstein, features: ['!rooms']}"
    assert _used(_moved("rooms"), {}, rule).result.status == "ok"
    found = _used(_moved("age"), {}, rule)
    assert found.result.status == "breach"
    assert found.result.value == pytest.approx(0.6 / 2 ** (1 / 3), rel=0.1), (
        "the distance is the shift itself; two features"
    )


def test_weighted_drift_of_a_window_without_values_is_no_data() -> None:
    empty = _rows({name: pa.nulls(N, pa.float64()) for name in IMPORTANCES})
    found = _used(empty, IMPORTANCES)
    assert (found.result.status, found.result.reason) == ("no_data", "no_values")
    assert _used(_rows(_houses(6)), {"unheard of": 1.0}).result.status == "no_data"
    assert _used(cut(_rows(_houses(6)), 0, 100), IMPORTANCES).result.reason == "too_few_rows"
    assert _verdicts(empty, None, WEIGHTED)["Used", "", ""].result.reason == "no_reference"


def _classified(seed: int, n: int, bias: float = 0.0) -> RowBlock:
    """A classifier's outputs for inputs that are all alike."""
    rng = np.random.default_rng(seed)
    high = 1 / (1 + np.exp(-(rng.normal(size=n) + bias)))
    columns = {
        "x": rng.normal(size=n),
        score_field("high"): high,
        score_field("low"): 1 - high,
        "p": np.where(high > 0.5, "high", "low"),
    }
    return _rows(columns, prediction="p")


CLASSIFIED = _reference(_classified(7, 5000))


@pytest.mark.parametrize(
    ("outputs", "method", "fields"),
    [
        ("prediction", "chi_squared", {"(prediction)"}),
        ("prediction", "psi", {"(prediction)"}),
        ("score", "psi", {"(score high)", "(score low)"}),
        ("score", "kolmogorov_smirnov", {"(score high)", "(score low)"}),
        ("score hi*", "kolmogorov_smirnov", {"(score high)"}),
    ],
)
def test_a_shift_of_the_outputs_is_found_without_a_look_at_the_inputs(
    outputs: str, method: str, fields: set[str]
) -> None:
    rule = f"{{alert: Shift, drift: {method}, outputs: [{outputs}]}}"
    moved = _verdicts(_classified(8, N, bias=1.0), CLASSIFIED, rule)
    assert {field: v.result.status for (_, field, _), v in moved.items()} == dict.fromkeys(fields, "breach")
    same = _verdicts(_classified(9, N), CLASSIFIED, rule)
    assert {field: v.result.status for (_, field, _), v in same.items()} == dict.fromkeys(fields, "ok")


def test_a_shift_of_a_regressions_predictions_is_found() -> None:
    rng = np.random.default_rng(10)
    made = _reference(_rows({"x": rng.normal(size=5000), "p": rng.normal(100, 10, 5000)}, prediction="p"))
    rule = "{alert: Shift, drift: kolmogorov_smirnov, outputs: [prediction]}"
    for mean, expected in ((106, "breach"), (100, "ok")):
        rows = _rows({"x": rng.normal(size=N), "p": rng.normal(mean, 10, N)}, prediction="p")
        assert {field: v.result.status for (_, field, _), v in _verdicts(rows, made, rule).items()} == {
            "(prediction)": expected
        }


def test_relations_are_judged_in_the_whole_and_not_by_segment() -> None:
    def draw(seed: int, n: int) -> RowBlock:
        rng = np.random.default_rng(seed)
        town = np.where(rng.random(n) < 0.5, "a", "b")
        x = rng.normal(size=n)
        y = x + np.where(town == "a", 0.1, 1.0) * rng.normal(size=n)
        return _rows({"x": x, "y": y, "town": town}, segments=("town",))

    rule = "{alert: Relation, drift: reconstruction_error}"
    found = _verdicts(draw(41, N), _reference(draw(42, 5000), "town"), rule, head="    segments: [town]\n")
    assert {key: verdict.result.status for key, verdict in found.items()} == {("Relation", "", ""): "ok"}
