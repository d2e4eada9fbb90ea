"""Drift that creeps: a sequential test over windows, its state, and what it does not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.engine.tick import Engine
from otel_mlmon.lab.simulate.memory import MemoryWindows, cut
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import Group, parse_text
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Alert, Reference, RowBlock, Verdict

HOUR = 3_600_000_000_000
ROWS = 400  # an hour

Mean = Callable[[np.ndarray], np.ndarray]


def _group(*rules: str, window: str = "1h", interval: str = "1h", head: str = "") -> Group:
    lines = "".join(f"      - {rule}\n" for rule in rules or ("{alert: Creeps, drift: cusum}",))
    text = (
        f"groups:\n  - name: g\n    model: m\n    window: {window}\n    interval: {interval}\n{head}    rules:\n{lines}"
    )
    return parse_text(text, Path("rules.yaml")).groups[0]


def _stream(seed: int, hours: int, mean: Mean = np.zeros_like, *, rows: int = ROWS) -> RowBlock:
    """One feature with standard deviation 1; its mean is a function of the hour."""
    rng, n = np.random.default_rng(seed), hours * rows
    x = mean((np.arange(n) // rows).astype(float)) + rng.normal(size=n)
    return replace(rows_of(Path("stream"), pa.table({"x": x}), Columns(), "m", ""), times=np.arange(n) * HOUR // rows)


def _reference(rows: RowBlock) -> Reference:
    rows = replace(rows, times=rows.times * 0)
    return create_reference(rows, name="training", version="", segments=(), source="", created="")


REFERENCE = _reference(_stream(0, 100))


def _alerts(
    group: Group, rows: RowBlock, made: Reference = REFERENCE, start: int | None = None
) -> Iterator[tuple[int, Alert]]:
    """Hour and alert, tick by tick."""
    for tick in simulate([group], rows, [made], pane_ns=HOUR, start=start):
        for alert in tick.alerts():
            yield tick.time // HOUR, alert


def _first_firing(found: Iterator[tuple[int, Alert]]) -> dict[str, int]:
    """Hour of the first firing, by rule."""
    first: dict[str, int] = {}
    for hour, alert in found:
        if alert.phase == "firing":
            first.setdefault(alert.rule, hour)
    return first


BUDGET = "    false_alarms: 1 per month\n"


BOTH = ("{alert: Creeps, drift: cusum}", "{alert: Window, drift: kolmogorov_smirnov}")


@pytest.mark.parametrize(("step", "rows"), [(0.005, 400), (-0.005, 400), (0.02, 200)])
def test_a_mean_that_creeps_is_found_before_a_test_of_each_window_finds_it(step: float, rows: int) -> None:
    """By so many standard deviations an hour, from the tenth hour on; the same budget of false alarms for both."""
    group, first = _group(*BOTH, head=BUDGET), []
    for seed in range(5):
        stream = _stream(20 + seed, 55, lambda hour: step * np.maximum(hour - 9, 0), rows=rows)
        first.append(_first_firing(_alerts(group, stream)))
    creeps, window = (sorted(found[rule] for found in first) for rule in ("Creeps", "Window"))
    assert creeps[0] > 10, first
    assert creeps[2] < window[2], first
    assert sum(found["Creeps"] < found["Window"] for found in first) >= 4, first


def test_a_small_change_that_stays_is_found_though_no_window_shows_it() -> None:
    first = _first_firing(_alerts(_group(*BOTH, head=BUDGET), _stream(2, 50, lambda hour: 0.08 * (hour >= 10))))
    assert set(first) == {"Creeps"}
    assert first["Creeps"] > 10


def test_the_alert_says_which_way_and_for_how_long() -> None:
    verdicts = [a.verdict for _, a in _alerts(_group(), _stream(3, 20, lambda hour: -0.3 * (hour >= 10)))]
    found = verdicts[-1]
    assert (found.result.status, found.result.finding, found.result.p_value) == ("breach", "shift", None)
    assert "the mean has been below the reference's for 10 windows" in found.result.message, found.result.message
    assert found.result.value is not None
    assert found.result.threshold is not None
    assert found.result.value > found.result.threshold > 3


def test_a_long_stream_in_which_nothing_changes_raises_no_alarm() -> None:
    # A month's windows: one false alarm is what the budget allows; the reference's own error is taken off on top.
    assert _first_firing(_alerts(_group(head=BUDGET), _stream(4, 730))) == {}


def test_the_error_of_a_small_reference_does_not_add_up_over_the_windows() -> None:
    small = _reference(_stream(5, 1))
    moved = replace(small.fields["x"].profile, sum=small.fields["x"].profile.sum + 2 * ROWS**0.5)  # two standard errors
    made = replace(small, fields={"x": replace(small.fields["x"], profile=moved)})
    assert _first_firing(_alerts(_group(), _stream(6, 200), made)) == {}


def test_a_rarer_false_alarm_asks_for_more() -> None:
    rows, limits = _stream(7, 2), []
    for budget in ("1 per day", "1 per month", "1 per year"):
        group = _group(f"{{alert: Creeps, drift: cusum, false_alarms: {budget}}}")
        limits.append([a.verdict.result.threshold for _, a in _alerts(group, rows)][-1])
    assert limits == sorted(limits)
    assert len(set(limits)) == 3
    by_default = [a.verdict.result.threshold for _, a in _alerts(_group(), rows)][-1]
    assert by_default == pytest.approx(limits[1]), "one in a month"


def test_windows_that_overlap_are_not_counted_twice() -> None:
    rows = _stream(8, 24, lambda hour: 0.1 * (hour >= 8))
    apart = dict(_alerts(_group(window="4h", interval="4h"), rows, start=3 * HOUR))
    often = dict(_alerts(_group(window="4h", interval="1h"), rows, start=3 * HOUR))
    assert list(apart) == [4, 8, 12, 16, 20, 24]
    assert set(apart) < set(often)
    for hour, alert in apart.items():
        assert often[hour].verdict.result.value == alert.verdict.result.value
    assert (apart[24].verdict.result.value or 0) > 0
    for hour, alert in often.items():
        before = often[hour // 4 * 4] if hour >= 4 else None
        assert before is not None
        assert alert.verdict.result.value == before.verdict.result.value, (
            "between two windows that are apart nothing is added"
        )


class _Run:
    """A history, a store that outlives the engine, and the engine."""

    def __init__(self, rows: RowBlock) -> None:
        self.windows = MemoryWindows(rows, lambda *_: REFERENCE, HOUR)
        self.store = Store(None)
        self.group = _group(head=BUDGET)
        self.start()

    def start(self) -> None:
        self.engine = Engine(
            self.windows,
            lambda *_: REFERENCE,
            self.store.documents,
            self.windows.count_outside,
            count_condition,
            aggregate=aggregate,
            ground_truth_horizon_ns=HOUR,
        )

    def tick(self, hour: int) -> Verdict:
        self.engine.tick([self.group], "m", hour * HOUR)
        (alert,) = self.engine.alerts()
        return alert.verdict


def test_what_has_added_up_survives_a_restart() -> None:
    rows = _stream(9, 16, lambda hour: 0.2 * (hour >= 4))
    straight, restarted = _Run(rows), _Run(rows)
    for hour in range(1, 17):
        if hour in (7, 8, 13):
            restarted.start()
        one, other = straight.tick(hour), restarted.tick(hour)
        assert (one.result.value, one.result.status, one.result.message) == (
            other.result.value,
            other.result.status,
            other.result.message,
        )
    assert one.result.status == "breach"
    (kept,) = restarted.store.documents.read("memory").values()
    assert kept[""]["x"]["end"] == 16 * HOUR


def test_a_window_that_is_judged_again_after_a_restart_is_not_added_again() -> None:
    run = _Run(_stream(10, 8, lambda hour: 0.2 + 0 * hour))
    first = [run.tick(hour) for hour in range(1, 7)][-1]
    run.start()
    again = run.tick(6)
    assert first.result.value
    assert (again.result.value, again.result.status) == (first.result.value, first.result.status)


def _last(rows: RowBlock, made: Reference = REFERENCE, rule: str = "{alert: Creeps, drift: cusum}") -> Verdict:
    return [a.verdict for _, a in _alerts(_group(rule), rows, made)][-1]


@pytest.mark.parametrize("values", [[None], [float("nan")], [float("inf")], ["text"]], ids=str)
def test_without_numbers_there_is_no_data(values: list[Any]) -> None:
    type_ = pa.string() if values == ["text"] else pa.float64()
    rows = rows_of(Path("f"), pa.table({"x": pa.array(values * ROWS, type_)}), Columns(), "m", "")
    found = _last(rows)
    assert (found.result.status, found.result.reason, found.result.rows) == ("no_data", "no_values", 0)


def test_no_spread_an_unknown_field_and_few_rows_give_no_data() -> None:
    constant = _reference(rows_of(Path("f"), pa.table({"x": pa.array([5.0] * 1000)}), Columns(), "m", ""))
    other = _reference(rows_of(Path("f"), pa.table({"y": np.arange(1000.0)}), Columns(), "m", ""))
    rows = _stream(11, 1)
    few = _last(cut(rows, 0, 29))
    assert [(v.result.status, v.result.reason) for v in (_last(rows, constant), _last(rows, other), few)] == [
        ("no_data", "no_spread"),
        ("no_data", "not_in_reference"),
        ("no_data", "too_few_rows"),
    ]


def test_a_gap_neither_adds_to_what_has_added_up_nor_takes_it_away() -> None:
    rows = _stream(12, 12, lambda hour: 0.15 + 0 * hour)
    gap = (rows.times >= 6 * HOUR) & (rows.times < 9 * HOUR)
    numbers = rows.fields["x"].numbers
    assert numbers is not None
    broken = replace(rows, fields={"x": replace(rows.fields["x"], numbers=np.where(gap, np.nan, numbers))})
    found = {hour: alert.verdict for hour, alert in _alerts(_group(), broken)}
    assert [found[hour].result.status for hour in (7, 8, 9)] == ["no_data"] * 3
    assert "for 6 windows" in found[6].result.message
    assert "for 7 windows" in found[10].result.message


def test_categories_have_no_mean_and_are_not_judged() -> None:
    rows = rows_of(Path("f"), pa.table({"town": ["a", "b"] * 500}), Columns(), "m", "")
    assert list(_alerts(_group(), rows, _reference(rows))) == []


def test_a_drift_that_is_over_is_soon_told_to_be_over() -> None:
    rows = _stream(31, 60, lambda hour: np.where((hour >= 10) & (hour < 34), 1.0, 0.0))
    breaches = [hour for hour, alert in _alerts(_group(), rows) if alert.verdict.result.status == "breach"]
    assert breaches[0] <= 12
    assert 34 <= breaches[-1] <= 46


def test_rules_that_share_a_budget_have_a_higher_limit_each() -> None:
    budget = "    false_alarms: 1 per month\n"
    creeps, other = "{alert: Creeps, drift: cusum}", "{alert: Other, drift: kolmogorov_smirnov}"
    limits = [
        next(
            a.verdict.result.threshold
            for _, a in _alerts(_group(*rules, head=budget), _stream(32, 1))
            if a.rule == "Creeps"
        )
        for rules in ((creeps,), (creeps, other))
    ]
    assert limits[0] is not None
    assert limits[1] is not None
    assert limits[0] < limits[1]
