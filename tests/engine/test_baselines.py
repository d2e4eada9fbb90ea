"""References from other predictions: the time before, the same hours of earlier days, another version or segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.values import Reference, RowBlock, Texts, Verdict

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
ROWS = 300  # an hour


def _rules(reference: str, rules: str = "{alert: Drift, drift: psi}", *, window: str = "1h", head: str = "") -> str:
    return (
        f"groups:\n  - name: g\n    model: m\n    window: {window}\n    interval: {window}\n"
        f"    reference: {reference}\n{head}    rules:\n      - {rules}\n"
    )


def _rows(columns: Mapping[str, Any], *, start: int = 0, versions: list[str] | None = None, **named: Any) -> RowBlock:
    """Rows at even distances from the hour `start` on; those of each version follow one another in equal parts."""
    rows = rows_of(Path("rows"), pa.table(dict(columns)), Columns(**named), "m", "")
    times = start * HOUR + np.arange(len(rows)) * HOUR // ROWS
    labels = versions or ["v1"]
    codes = (np.arange(len(rows)) * len(labels) // len(rows)).astype(np.int32)
    return replace(rows, times=times, truth_times=times, versions=Texts(codes, labels))


def _reference(rows: RowBlock, *segments: str) -> Reference:
    """Of rows whose order is not known."""
    rows = replace(rows, times=rows.times * 0, versions=Texts(np.zeros(len(rows), np.int32), [""]))
    return create_reference(rows, name="training", version="", segments=segments, source="", created="")


def _verdicts(
    rules: str, rows: RowBlock, made: Reference, start: int | None = None
) -> dict[tuple[int, str, str, str], Verdict]:
    """By hour of the window's end, version, field and segment."""
    groups = parse_text(rules, Path("rules.yaml")).groups
    return {
        (tick.time // HOUR, a.target.version, a.target.field, a.target.segment): a.verdict
        for tick in simulate(groups, rows, [made], pane_ns=HOUR, start=start)
        for a in tick.alerts()
    }


def _breaches(found: Mapping[tuple[int, str, str, str], Verdict]) -> list[int]:
    return [hour for (hour, *_), verdict in found.items() if verdict.result.status == "breach"]


def _level(seed: int, hours: int, *changes: tuple[int, float]) -> RowBlock:
    """Normal values whose mean changes at some hours."""
    rng, n = np.random.default_rng(seed), hours * ROWS
    level = np.zeros(n)
    for hour, mean in changes:
        level[hour * ROWS :] = mean
    return _rows({"x": level + rng.normal(size=n)})


def test_a_changed_level_is_drift_from_the_hours_before_and_normal_later() -> None:
    rows, made = _level(1, 24, (12, 2.0)), _reference(_level(2, 20))
    trailing = _breaches(_verdicts(_rules("{trailing: 4h}"), rows, made))
    assert trailing[0] == 13, "the first hour after the change"
    assert max(trailing) <= 16, "four hours later there is nothing but the new level"
    assert _breaches(_verdicts(_rules("training"), rows, made)) == list(range(13, 25))


def test_a_level_that_never_was_the_references_is_no_drift_from_the_hours_before() -> None:
    found = _verdicts(_rules("{trailing: 6h}"), _level(3, 12, (0, 3.0)), _reference(_level(2, 20)))
    assert [v.result.status for v in found.values()] == ["no_data"] + ["ok"] * 11
    assert [v.result.reference_rows for v in found.values()] == [min(i, 6) * ROWS for i in range(12)]


@pytest.mark.parametrize("reference", ["{trailing: 7d}", "{same_time_last: day}", "{same_time_last: week, count: 1}"])
@pytest.mark.parametrize(
    "rule",
    [
        "{alert: A, drift: psi}",
        "{alert: A, drift: cusum}",
        "{alert: A, drift: weighted}",
        "{alert: A, integrity: missing}",
        "{alert: A, integrity: range}",
        "{alert: A, integrity: default_value}",
        "{alert: A, integrity: schema}",
        "{alert: A, performance: rmse, worse_than_reference: 10%}",
    ],
)
def test_without_earlier_rows_nothing_is_ok(reference: str, rule: str) -> None:
    rng = np.random.default_rng(4)
    columns = {"x": rng.normal(size=ROWS), "p": np.zeros(ROWS), "truth": rng.normal(size=ROWS)}
    rows = _rows(columns, start=1000, prediction="p", ground_truth="truth")
    found = _verdicts(_rules(reference, rule), rows, _reference(rows))
    assert found
    assert {v.result.status for v in found.values()} == {"no_data"}, found


def test_without_the_stored_reference_there_are_no_bins_to_measure_on() -> None:
    rows = _level(5, 6)
    other = replace(_reference(rows), name="other")
    assert {v.result.status for v in _verdicts(_rules("{trailing: 3h}"), rows, other).values()} == {"no_data"}
    found = _verdicts(_rules("{trailing: 3h, bins: other}"), rows, other)
    assert [v.result.status for v in found.values()] == ["no_data"] + ["ok"] * 5


def test_a_rate_of_missing_values_is_compared_with_the_hours_before() -> None:
    rng, n = np.random.default_rng(6), 10 * ROWS
    x = rng.normal(size=n)
    missing = np.where(np.arange(n) < 5 * ROWS, 0.3, 0.6)
    rows = _rows({"x": pa.array(x, mask=rng.random(n) < missing), "y": rng.normal(size=n)})
    complete = _reference(_rows({"x": x, "y": rng.normal(size=n)}))
    found = _verdicts(_rules("{trailing: 2h}", "{alert: Missing, integrity: missing}"), rows, complete)
    assert {field for (_, _, field, _), v in found.items() if v.result.status == "breach"} == {"x"}
    assert set(_breaches(found)) == {6, 7}
    assert found[6, "v1", "x", ""].result.finding == "null"


def _days(seed: int, days: int, *, shift_from: int | None = None) -> RowBlock:
    """A strong daily cycle; from some hour on all values are higher."""
    rng, n = np.random.default_rng(seed), days * 24 * ROWS
    hour = np.arange(n) // ROWS
    x = 3 * np.sin(2 * np.pi * hour / 24) + rng.normal(size=n)
    return _rows({"x": x + (1.0 * (hour >= shift_from) if shift_from is not None else 0.0)})


def test_a_daily_cycle_is_drift_from_the_whole_day_but_not_from_the_same_hours() -> None:
    rows, made = _days(7, 5), _reference(_days(8, 4))
    cycle = _verdicts(_rules("{same_time_last: day}", window="2h"), rows, made, start=4 * DAY)
    assert {v.result.status for v in cycle.values()} == {"ok"}
    assert {v.result.reference_rows for v in cycle.values()} == {4 * 2 * ROWS}
    whole = _verdicts(_rules("training", window="2h"), rows, made, start=4 * DAY)
    assert len(_breaches(whole)) == len(whole) == len(cycle) == 12


def test_a_shift_on_top_of_the_daily_cycle_is_found() -> None:
    rows, made = _days(9, 5, shift_from=4 * 24 + 10), _reference(_days(8, 4))
    found = _verdicts(_rules("{same_time_last: day}", window="2h"), rows, made, start=4 * DAY)
    assert _breaches(found) == [4 * 24 + hour for hour in (12, 14, 16, 18, 20, 22, 24)]


def test_the_stated_number_of_days_is_read_and_missing_days_are_left_out() -> None:
    rows, made = _days(10, 4), _reference(_days(8, 4))
    for count, expected in ((1, [0, 1, 1, 1]), (2, [0, 1, 2, 2]), (9, [0, 1, 2, 3])):
        found = _verdicts(_rules(f"{{same_time_last: day, count: {count}}}", window="6h"), rows, made)
        noon = [found[24 * day + 12, "v1", "x", ""] for day in range(4)]
        assert [v.result.reference_rows for v in noon] == [days * 6 * ROWS for days in expected]
        assert [v.result.status for v in noon] == ["no_data", "ok", "ok", "ok"]


def _versions(seed: int, difference: float) -> RowBlock:
    """Ten hours of one version, then ten of the next."""
    rng, n = np.random.default_rng(seed), 20 * ROWS
    moved = np.where(np.arange(n) >= n // 2, difference, 0.0)
    return _rows({"x": 5 + moved + rng.normal(size=n), "y": rng.normal(size=n)}, versions=["v1", "v2"])


def test_a_new_version_with_other_inputs_drifts_from_the_version_before() -> None:
    # The stored reference, of another level, only lends its bins.
    made, rules = _reference(_level_xy(11)), _rules("{version: previous}")
    moved = {k: v for k, v in _verdicts(rules, _versions(12, 1.0), made).items() if k[1] == "v2"}
    assert {(version, field) for (_, version, field, _), v in moved.items() if v.result.status == "breach"} == {
        ("v2", "x")
    }
    assert set(_breaches(moved)) == set(range(11, 21)), "for as long as the old one is remembered"
    same = {k: v for k, v in _verdicts(rules, _versions(13, 0.0), made).items() if k[1] == "v2"}
    assert {v.result.status for v in same.values()} == {"ok"}
    assert {v.result.reference_rows for v in same.values()} == {10 * ROWS}


def _level_xy(seed: int) -> RowBlock:
    rng = np.random.default_rng(seed)
    return _rows({"x": 4 + 2 * rng.normal(size=5000), "y": rng.normal(size=5000)})


def test_an_only_version_has_no_previous_one_and_an_old_version_is_forgotten() -> None:
    rows, made = _level(14, 3), _reference(_level(2, 20))
    found = _verdicts(_rules("{version: previous}"), rows, made)
    assert len(found) == 3
    assert {v.result.status for v in found.values()} == {"no_data"}
    long_ago = replace(
        rows,
        times=rows.times + (np.arange(len(rows)) >= ROWS) * 8 * DAY,
        versions=Texts((np.arange(len(rows)) >= ROWS).astype(np.int32), ["v1", "v2"]),
    )
    later = _verdicts(_rules("{version: previous}"), long_ago, made, start=8 * DAY + HOUR)
    assert {(version, v.result.status) for (_, version, _, _), v in later.items()} == {("v2", "no_data")}


def _regions(seed: int, shares: Mapping[str, float], means: Mapping[str, float], hours: int = 8) -> RowBlock:
    rng, n = np.random.default_rng(seed), hours * ROWS
    region = rng.choice(list(shares), n, p=list(shares.values()))
    x = np.array([means[name] for name in region]) + rng.normal(size=n)
    return _rows({"x": x, "region": region}, exclude=("region",), segments=("region",))


def test_another_segment_is_compared_with_the_one_that_is_named() -> None:
    means = {"north": 0.0, "south": 0.0, "west": 2.0}
    made = _reference(_regions(15, {"north": 0.5, "south": 0.25, "west": 0.25}, means, hours=40), "region")
    rows = _regions(16, {"north": 0.1, "south": 0.45, "west": 0.45}, means, hours=4)
    head = "    segments: [region]\n"
    found = _verdicts(_rules("{segment: region=north}", window="4h", head=head), rows, made)
    status = {segment: v.result.status for (_, _, _, segment), v in found.items()}
    assert status == {"": "breach", "region=north": "no_data", "region=south": "ok", "region=west": "breach"}
    assert found[4, "v1", "x", "region=north"].result.reason == "too_few_rows"
    north = made.segments["region=north"].rows
    assert {v.result.reference_rows for v in found.values() if v.result.status != "no_data"} == {north}
    own = _verdicts(_rules("training", window="4h", head=head), rows, made)
    assert {s: v.result.status for (_, _, _, s), v in own.items() if s} == {
        **{s: v for s, v in status.items() if s},
        "region=west": "ok",
    }


def test_a_segment_that_the_reference_does_not_know_gives_no_data() -> None:
    rows = _regions(17, {"north": 1.0}, {"north": 0.0}, hours=1)
    found = _verdicts(_rules("{segment: region=east}"), rows, _reference(rows, "region"))
    assert {v.result.status for v in found.values()} == {"no_data"}


def test_performance_at_the_same_hours_is_that_of_all_these_days() -> None:
    rng, hours = np.random.default_rng(21), 4 * 24
    error = np.repeat([1.0, 1.0, 3.0, 1.0], 24 * ROWS) * np.where(rng.random(hours * ROWS) < 0.5, 1, -1)
    predicted = rng.normal(size=hours * ROWS)
    rows = _rows({"p": predicted, "y": predicted - error}, prediction="p", ground_truth="y")
    rules = _rules("{same_time_last: day, count: 3}", "{alert: Off, performance: rmse, worse_than_reference: 10%}")
    verdict = _verdicts(rules, rows, _reference(rows))[95, "v1", "", ""]
    assert verdict.result.reference_rows == 3 * ROWS
    assert f"in the reference {((1 + 1 + 9) / 3) ** 0.5:.4g}" in verdict.result.message


def test_a_version_is_compared_with_an_earlier_version_and_not_with_a_later_one() -> None:
    rng, hours = np.random.default_rng(22), 20
    new = (np.arange(hours * ROWS) >= 10 * ROWS) & (np.arange(hours * ROWS) % 2 == 1)
    rows = _rows({"x": rng.normal(size=hours * ROWS) + new})
    rows = replace(rows, versions=Texts(new.astype(np.int32), ["v1", "v2"]))
    found = _verdicts(
        _rules("{version: previous}", "{alert: Drift, drift: psi, min_rows: 100}"), rows, _reference(rows)
    )
    assert {verdict.result.status for (_, version, *_), verdict in found.items() if version == "v1"} == {"no_data"}
    assert {verdict.result.status for (_, version, *_), verdict in found.items() if version == "v2"} == {"breach"}


@pytest.mark.parametrize("reference", ["training", "{segment: region=north}"])
def test_a_default_that_only_one_segment_has_is_expected_there(reference: str) -> None:
    def draw(seed: int, n: int) -> RowBlock:
        rng = np.random.default_rng(seed)
        region = np.where(rng.random(n) < 0.2, "north", "south")
        x = np.where((region == "north") & (rng.random(n) < 0.4), -1.0, rng.normal(10, 1, n))
        return _rows({"x": x, "region": region}, segments=("region",))

    rules = _rules(
        reference,
        "{alert: Default, integrity: default_value, features: [x]}",
        window="5h",
        head="    segments: [region]\n",
    )
    found = _verdicts(rules, draw(23, 15 * ROWS), _reference(draw(24, 5000), "region"))
    north = {verdict.result.status for (*_, segment), verdict in found.items() if segment == "region=north"}
    assert north == {"ok"}
    if reference != "training":  # by the north's own, the whole has lost its default
        assert {verdict.result.status for (*_, segment), verdict in found.items() if not segment} == {"breach"}
