"""Why an alert fires: each of the six answers, with a real store, windows and engine behind it."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

import numpy as np
import pytest
from diagnosis.towns import HOUR, PRICES_OFF, World, houses, reference

from otel_mlmon.diagnosis import Limits, Subject, explain, subject
from otel_mlmon.diagnosis.history import windows_of
from otel_mlmon.diagnosis.subject import sample_ranges
from otel_mlmon.server.explanations import Explanations
from otel_mlmon.values.history import RevisionRow, VerdictRow
from otel_mlmon.wire.semconv import FIELD_SHADOW

BAD = ("N03", "N08", "N16")


def _bad(seed: int = 1, **options: Any) -> tuple[World, dict[str, Any]]:
    world = World()
    for hour in range(3):
        world.send(houses(seed * 10 + hour, 1500), hour)
        world.tick(hour)
    world.send(houses(seed, 6000, BAD), 3, **options)
    alert = world.tick(3)["PricesOff", "", ""]
    assert alert.phase == "firing", alert.verdict
    return world, world.explain(alert)


@pytest.mark.parametrize("seed", range(1, 6))
def test_exactly_the_three_bad_neighbourhoods_of_twenty_are_named(seed: int) -> None:
    _, found = _bad(seed)
    assert found["missing"] == ()
    slices = found["where"]["slices"]
    assert {one["name"] for one in slices} == {f"neighbourhood = {name}" for name in BAD}
    for one in slices:
        assert one["low"] < one["value"] < one["high"]
        assert one["value"] > 1.5 * one["expected"]
        assert 200 < one["rows"] < 400
    assert found["where"]["expected"] < found["where"]["value"] < min(one["value"] for one in slices)


def test_values_of_slices_are_those_of_their_rows() -> None:
    _, found = _bad()
    frame = houses(1, 6000, BAD)
    error = (frame["predicted"] - frame["price"]) ** 2
    assert found["where"]["value"] == pytest.approx(float(np.sqrt(error.mean())))
    for one in found["where"]["slices"]:
        mine = error[frame["neighbourhood"] == one["name"].removeprefix("neighbourhood = ")]
        assert (one["rows"], one["value"]) == (len(mine), pytest.approx(float(np.sqrt(mine.mean()))))


def test_fired_has_times_interval_and_p_value() -> None:
    world, found = _bad(known=0.7)
    (alert,) = world.engine.alerts()
    fired = found["fired"]
    assert (fired["since"], fired["fired_at"], fired["start"], fired["end"]) == (4 * HOUR, 4 * HOUR, 3 * HOUR, 4 * HOUR)
    assert fired["low"] < fired["value"] < fired["high"]
    assert fired["threshold"] < fired["low"]
    assert fired["p_value"] < 0.01
    assert fired["coverage"] == pytest.approx(0.7)
    assert fired["maturity"] == alert.verdict.result.maturity != ""
    arrived = found["outcomes"]["arrived"]
    assert arrived[0] == {"delay": 0, "share": 0.0}
    assert arrived[-1]["share"] == pytest.approx(0.7)
    assert [one["share"] for one in arrived] == sorted(one["share"] for one in arrived)
    assert found["outcomes"]["confusion"] == (), "prices are no classes"
    kinds = {note["kind"]: note for note in fired["notes"]}
    assert set(kinds) == {"concept drift"}, "the inputs are as before, and labels are missing at random"
    json.dumps(found)


def test_ground_truth_missing_for_high_prices_is_noted() -> None:
    world = World()
    frame = houses(5, 6000, BAD).sort_values("income", ignore_index=True)
    world.send(frame, 0, known=0.6)
    found = world.explain(world.tick(0)["PricesOff", "", ""])
    (note,) = [note for note in found["fired"]["notes"] if note["kind"] == "label selection"]
    assert "income" in {field["field"] for field in note["figures"]["fields"]}
    assert "corrected for that" in note["text"]


def test_examples_are_the_worst_rows_of_the_bad_neighbourhoods() -> None:
    _, found = _bad()
    rows = found["examples"]["rows"]
    worst = found["where"]["slices"][0]["name"]
    assert len(rows) == 10
    assert {row["slice"] for row in rows} == {one["name"] for one in found["where"]["slices"]}
    assert rows[0]["slice"] == worst
    assert all(row["trace_id"] == f"trace-{row['prediction_id']}" for row in rows)
    frame = houses(1, 6000, BAD)
    mine = frame[frame["neighbourhood"] == worst.removeprefix("neighbourhood = ")]
    largest = float((mine["predicted"] - mine["price"]).abs().max())
    assert abs(float(rows[0]["prediction"]) - float(rows[0]["ground_truth"])) == pytest.approx(largest)


def test_drift_of_one_client_is_located_there_only() -> None:
    world = World("      - {alert: SizeDrift, drift: psi, features: [size, age], above: 0.1}")
    frame = houses(2, 6000)
    sends_feet = frame["client"] == "app"
    frame.loc[sends_feet, "size"] *= 10.76
    world.send(frame, 0)
    alerts = world.tick(0)
    found = world.explain(alerts["SizeDrift", "size", ""])
    slices = found["where"]["slices"]
    assert slices[0]["name"] == "client = app"
    assert slices[0]["value"] > 0.9
    assert {"client"} == {field for one in slices for field, _ in one["conditions"]} - {"neighbourhood", "income"}
    assert found["features"]["ranking"][0]["feature"] == "size"
    assert found["features"]["weights"] == "reference"
    assert all(float(row["value"]) > 300 for row in found["examples"]["rows"])


def test_features_are_ranked_by_distance_times_importance() -> None:
    world = World("      - {alert: Drift, drift: psi, above: 0.1}")
    frame = houses(3, 6000)
    frame["age"] += 60  # the model hardly looks at it
    frame["income"] *= 1.6
    world.send(frame, 0)
    found = world.explain(world.tick(0)["Drift", "age", ""])
    ranking = {one["feature"]: one for one in found["features"]["ranking"]}
    assert next(iter(ranking)) == "income"
    assert ranking["age"]["distance"] > ranking["income"]["distance"] > 0.2
    assert ranking["age"]["importance"] == 0
    assert ranking["size"]["score"] < 0.02
    assert ranking["income"]["change"] == f"mean {houses(0, 8000)['income'].mean():.4g} → {frame['income'].mean():.4g}"
    for one in ranking.values():
        assert one["score"] == pytest.approx(one["distance"] * one["importance"])


def test_without_importances_correlation_with_the_error_weights_features() -> None:
    world = World(normal=reference(importances=False))
    world.send(houses(4, 6000, BAD), 0)
    found = world.explain(world.tick(0)["PricesOff", "", ""])
    assert found["features"]["weights"] == "error"
    weights = {one["feature"]: one["importance"] for one in found["features"]["ranking"]}
    assert max(weights, key=lambda name: weights[name]) == "neighbourhood"
    unknown = World("      - {alert: Drift, drift: psi, above: 0.1}", normal=reference(importances=False))
    frame = houses(3, 3000)
    frame["income"] *= 2
    unknown.send(frame, 0, known=0)
    found = unknown.explain(unknown.tick(0)["Drift", "income", ""])
    assert found["features"]["weights"] == "none"
    assert {one["importance"] for one in found["features"]["ranking"]} == {1.0}


def test_changes_before_the_breach_are_listed_newest_first() -> None:
    world = World("      - {alert: Drift, drift: psi, features: [income], above: 0.1}")
    shifted = houses(6, 2000)
    shifted["income"] *= 2
    for hour in range(60):
        world.send(shifted if hour >= 58 else houses(hour, 200), hour)
        alerts = world.tick(hour)
    first = 59 * HOUR
    world.changed(
        ("deployment", "2.4.0", 58 * HOUR),
        ("deployment", "2.3.9", 40 * HOUR),
        ("deployment", "1.0", 5 * HOUR),
        ("deployment", "2.4.1", first + HOUR // 2),
    )
    found = world.explain(alerts["Drift", "income", ""])["changes"]
    assert (found["start"], found["end"]) == (first - 24 * HOUR, first)
    assert [(one["value"], one["before"]) for one in found["events"]] == [("2.4.0", HOUR), ("2.3.9", 19 * HOUR)]


def test_no_change_gives_an_empty_list() -> None:
    world = World("      - {alert: Drift, drift: psi, features: [income], above: 0.1}")
    for hour in range(60):
        frame = houses(hour, 200 if hour < 59 else 2000)
        frame["income"] *= 1 if hour < 59 else 2
        world.send(frame, hour)
        alerts = world.tick(hour)
    assert world.explain(alerts["Drift", "income", ""])["changes"]["events"] == ()


def test_missing_feature_is_located_in_its_slice() -> None:
    world = World("      - {alert: Missing, integrity: missing, above: 1%}")
    frame = houses(7, 4000).astype({"age": object})
    frame.loc[frame["client"] == "batch", "age"] = None
    world.send(frame, 0)
    found = world.explain(world.tick(0)["Missing", "age", ""])
    (one,) = found["where"]["slices"]
    assert (one["name"], one["value"], one["expected"]) == ("client = batch", 1.0, 0.0)
    assert {row["value"] for row in found["examples"]["rows"]} == {"null"}
    assert found["features"]["ranking"][0]["feature"] != "age", "which the model does not use"


FAULTS: dict[str, tuple[str, str, Any]] = {
    "type": ("{alert: A, integrity: type, above: 1%}", "rooms", str),
    "range": ("{alert: A, integrity: range, above: 1%}", "rooms", lambda rooms: rooms * 1000),
    "category": ("{alert: A, integrity: range, above: 1%}", "neighbourhood", lambda _: "elsewhere"),
    "default": ("{alert: A, integrity: default_value, above: 5%}", "age", lambda _: -1.0),
}


@pytest.mark.parametrize(("rule", "field", "spoil"), FAULTS.values(), ids=FAULTS)
def test_fault_of_one_client_is_located_there(rule: str, field: str, spoil: Any) -> None:
    world = World(f"      - {rule}")
    frame = houses(9, 3000).astype({field: object})
    mine = frame["client"] == "batch"
    frame.loc[mine, field] = frame.loc[mine, field].map(spoil)
    world.send(frame, 0)
    alert = world.tick(0)["A", field, ""]
    assert alert.verdict.result.status == "breach", alert.verdict
    (one,) = world.explain(alert)["where"]["slices"]
    assert (one["name"], one["rows"], one["value"]) == ("client = batch", int(mine.sum()), 1.0)


def test_disagreement_with_a_shadow_is_located() -> None:
    world = World("      - {alert: Parity, parity: rate}")
    frame = houses(10, 3000)
    mine = frame["client"] == "app"
    frame[FIELD_SHADOW] = frame["predicted"].mask(mine, frame["predicted"] * 1.1)
    world.send(frame, 0)
    found = world.explain(world.tick(0)["Parity", "", ""])
    (one,) = found["where"]["slices"]
    assert (one["name"], one["rows"], one["value"], one["expected"]) == ("client = app", int(mine.sum()), 1.0, 0.0)
    far = [abs(row["shadow"] - row["prediction"]) for row in found["examples"]["rows"]]
    every = np.sort((frame[FIELD_SHADOW] - frame["predicted"]).abs())[::-1]
    assert far == pytest.approx(every[:10].tolist()), (
        "those where the two are furthest apart, with what the shadow says"
    )


def test_worse_estimate_is_located_without_ground_truth() -> None:
    world = World("      - {alert: Estimated, estimate: rmse, worse_than_reference: 10%}")
    frame = houses(11, 4000)
    dear = frame["client"] == "app"
    frame.loc[dear, "income"] *= 1.5
    frame.loc[dear, "predicted"] *= 1.6  # errors are wider where prices are higher
    world.send(frame, 0, known=0)
    found = world.explain(world.tick(0)["Estimated", "", ""])
    assert found["where"]["measure"] == "estimated rmse by slice"
    assert found["where"]["value"] > found["where"]["expected"]
    assert found["where"]["slices"]


def test_sample_of_a_large_window_is_the_same_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "MOST_ROWS", 2000)
    world = World()
    world.send(houses(12, 12_000, BAD), 0)
    alert = world.tick(0)["PricesOff", "", ""]
    found = world.explain(alert)
    assert (found["read_rows"], found["window_rows"]) == (2000, 12_000)
    assert {one["name"] for one in found["where"]["slices"]} == {f"neighbourhood = {name}" for name in BAD}
    assert world.explain(alert) == found
    ranges = sample_ranges(100, 100 + HOUR, 100_000, 0)
    assert ranges == sample_ranges(100, 100 + HOUR, 100_000, 0) != sample_ranges(100, 100 + HOUR, 100_000, 1)
    assert sum(end - start for start, end in ranges) / HOUR == pytest.approx(1.3 * 2000 / 100_000, rel=0.1)
    assert all(100 <= start < end <= 100 + HOUR for start, end in ranges)
    assert sample_ranges(0, HOUR, 0, 0) == sample_ranges(0, HOUR, 2000, 0) == [(0, HOUR)]


def test_parts_not_begun_in_time_are_listed() -> None:
    world = World()
    world.send(houses(1, 2000, BAD), 0)
    alert = world.tick(0)["PricesOff", "", ""]
    about = Subject(alert, world.group.rules[0], world.group, world.reference, alert.verdict.start, alert.verdict.end)
    seconds = itertools.count()
    found = explain(about, world.store, Limits(lambda: float(next(seconds)), seconds=3.5))
    assert found.fired is not None
    assert found.history is not None
    assert found.changes is not None
    assert found.where is None
    late = ("features and slices", "outcomes", "example predictions")
    assert found.missing == tuple(f"{part} (out of time)" for part in late)


def test_explanation_is_computed_once_per_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.send(houses(1, 2000, BAD), 0)
    alert = world.tick(0)["PricesOff", "", ""]
    made = Explanations(world.store, world.engine, lambda: [world.group], world.find, world.windows)
    first, reads = made.find(alert), []
    with monkeypatch.context() as patch:
        patch.setattr(world.store.rows, "read", lambda *a, **k: reads.append(a))
        assert made.find(alert) is first
    assert not reads
    world.tick(1)
    (later,) = [a for a in world.engine.alerts() if not a.target.segment]
    again = made.find(later)
    assert again is not None
    assert again.fired is not None
    assert again.fired.status == later.verdict.result.status


def test_explanation_goes_on_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.send(houses(1, 2000, BAD), 0)
    alert = world.tick(0)["PricesOff", "", ""]
    go, read = threading.Event(), world.store.rows.read

    def slow(*arguments: Any, **more: Any) -> Any:
        go.wait(30)
        return read(*arguments, **more)

    monkeypatch.setattr(world.store.rows, "read", slow)
    made = Explanations(world.store, world.engine, lambda: [world.group], world.find, world.windows)
    assert made.find(alert, 0.01) is None
    go.set()
    found = made.find(alert)
    assert found is not None
    assert found is made.find(alert, 0.01)


def test_removed_rule_without_reference_leaves_the_other_parts() -> None:
    world = World()
    world.send(houses(1, 2000, BAD), 0)
    alert = world.tick(0)["PricesOff", "", ""]
    found = Explanations(world.store, world.engine, list, world.find, world.windows).find(alert)
    assert found is not None
    assert found.missing == ("features: there is no reference to compare with",)
    assert found.where is not None
    assert "compared with all rows" in found.where.note or not found.where.slices
    assert found.examples is not None
    assert len(found.examples.rows) == 10


def test_an_alert_on_a_segment_is_about_its_rows_only() -> None:
    world = World("      - {alert: PricesOff, performance: rmse, worse_than_reference: 20%, segments: [client]}")
    frame = houses(8, 9000)
    bad = (frame["client"] == "web") & (frame["neighbourhood"] == "N05")
    frame.loc[bad, "predicted"] *= 2.2
    world.send(frame, 0)
    found = world.explain(world.tick(0)["PricesOff", "", "client=web"])
    assert [one["name"] for one in found["where"]["slices"]] == ["neighbourhood = N05"]
    assert found["where"]["rows"] == found["read_rows"] == int((frame["client"] == "web").sum())
    assert found["window_rows"] == found["read_rows"], "not the predictions of all clients"
    assert found["where"]["slices"][0]["rows"] == int(bad.sum())


def test_failed_parts_are_listed_and_the_others_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.send(houses(1, 3000, BAD), 0)
    alert = world.tick(0)["PricesOff", "", ""]

    def explode(*_: Any, **__: Any) -> Any:
        raise OSError("disk gone")

    monkeypatch.setattr(world.store, "changes", explode)
    found = world.explain(alert)
    assert found["changes"] is None
    assert found["missing"] == ("changes (OSError)",)
    assert len(found["where"]["slices"]) == 3
    monkeypatch.setattr(world.store.rows, "read", explode)
    found = world.explain(alert)
    assert (found["where"], found["features"]) == (None, None)
    assert found["missing"] == ("changes (OSError)", "features and slices (OSError)")
    assert len(found["examples"]["rows"]) == 10
    assert found["fired"]["value"] == alert.verdict.result.value


def test_the_last_breach_is_explained_while_the_newest_verdict_is_none() -> None:
    world = World(PRICES_OFF.replace("}", ", keep_firing_for: 5h}"))
    world.send(houses(1, 4000, BAD), 0)
    before = world.tick(0)["PricesOff", "", ""]
    world.send(houses(2, 4000), 1)
    alert = world.tick(1)["PricesOff", "", ""]
    assert (alert.phase, alert.verdict.result.status) == ("firing", "ok")
    found = world.explain(alert)
    assert (found["fired"]["end"], found["fired"]["value"]) == (HOUR, before.verdict.result.value)
    assert {one["name"] for one in found["where"]["slices"]} == {f"neighbourhood = {name}" for name in BAD}


def test_window_without_a_value_has_no_interval() -> None:
    later = RevisionRow("1", 0, 5, 9, 100, 80, "provisional", "ok", 50.0, 40.0, 60.0)
    rows: list[VerdictRow] = [VerdictRow("1", 5, "no_data", None, None, 9), VerdictRow("1", 6, "ok", 51.0, 70.0, 9)]
    assert [(one.value, one.low, one.high) for one in windows_of(rows, [later, later._replace(end=6)])] == [
        (None, None, None),
        (51.0, 40.0, 60.0),
    ]
