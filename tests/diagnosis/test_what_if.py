"""The replay at other thresholds agrees with a recount that steps through the past by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from batches import ground_truth
from diagnosis.towns import HOUR, World, houses
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_mlmon.diagnosis.history import FACTORS, first_breach, history, what_if
from otel_mlmon.rulefile import Rule, parse_text
from otel_mlmon.values.explanation import PastVerdict
from otel_mlmon.values.history import VerdictRow


def _rule(text: str) -> Rule:
    return parse_text(f"groups:\n  - name: g\n    model: m\n    rules:\n      - {text}").groups[0].rules[0]


def _recount(values: list[float | None], limit: float, wait: int, keep: int) -> tuple[int, int, int]:
    """Return episodes, hours firing, and the hour since which it fires (0: no). One value per hour; None: no data."""
    episodes, hours, since, pending, last = 0, 0, 0, None, 0
    for hour, value in enumerate(values, start=1):
        if since:
            hours += 1
        if value is None:
            continue
        if value > limit:
            last = hour
            if not since:
                pending = hour if pending is None else pending
                if hour - pending >= wait:
                    episodes, since = episodes + 1, hour
        else:
            pending = None
            if since and hour - last >= keep:
                since = 0
    return episodes, hours, since


_values = st.lists(st.one_of(st.none(), st.integers(0, 40).map(lambda n: n / 10)), min_size=1, max_size=60)


@settings(max_examples=200, deadline=None)
@given(values=_values, limit=st.sampled_from([0.4, 1.0, 2.5]), wait=st.integers(0, 3), keep=st.integers(0, 3))
def test_other_thresholds_do_what_a_recount_by_hand_does(
    values: list[float | None], limit: float, wait: int, keep: int
) -> None:
    rule = _rule(f"{{alert: A, drift: psi, above: {limit}, for: {wait}h, keep_firing_for: {keep}h}}")
    ticks = [
        PastVerdict(
            (i + 1) * HOUR, v, None if v is None else limit, "no_data" if v is None else "breach" if v > limit else "ok"
        )
        for i, v in enumerate(values)
    ]
    found = what_if(ticks, rule, "psi", "above")
    if all(v is None for v in values):
        assert found == []
        return
    for one in found:
        expected = _recount(values, one.threshold, wait, keep)
        assert (one.episodes, one.firing // HOUR, one.since // HOUR) == expected, one
    others = [one for one in found if one.kind != "silent"]
    assert [one.threshold for one in others] == [pytest.approx(limit * factor) for factor in FACTORS]
    assert [one.kind for one in others].count("present") == 1
    silent = [one for one in found if one.kind == "silent"]
    if silent:
        assert silent[0].episodes == 0
        smaller = [v for v in values if v is not None and 0 < v < silent[0].threshold * (1 - 1e-9)]
        assert all(_recount(values, v, wait, keep)[0] > 0 for v in smaller), "a smaller one would do"
    else:
        assert not any(values)


def test_insignificant_value_is_no_breach_at_any_threshold() -> None:
    ticks = [
        PastVerdict(HOUR, 0.9, 0.5, "ok"),
        PastVerdict(2 * HOUR, 0.8, 0.5, "breach"),
        PastVerdict(3 * HOUR, 0.1, 0.5, "ok"),
    ]
    by_threshold = {
        one.threshold: one.episodes
        for one in what_if(ticks, _rule("{alert: A, drift: psi, above: 0.5}"), "psi", "above")
    }
    assert by_threshold[0.25] == by_threshold[0.5] == by_threshold[0.75] == 1
    assert by_threshold[1.0] == 0


def test_scores_are_scaled_from_1_and_margins_from_the_reference() -> None:
    ticks = [PastVerdict(HOUR, 0.69, 0.8, "breach")]
    found = what_if(ticks, _rule("{alert: A, performance: accuracy, below: 0.8}"), "accuracy", "below")
    assert [one.threshold for one in found] == pytest.approx([0.9, 0.85, 0.8, 0.75, 0.7, 0.69, 0.6])
    assert [one.episodes for one in found] == [1, 1, 1, 1, 1, 0, 0]
    ticks = [PastVerdict(HOUR, 14.0, 12.0, "breach")]  # the reference has 10
    found = what_if(ticks, _rule("{alert: A, performance: rmse, worse_than_reference: 20%}"), "rmse", "above")
    assert [one.threshold for one in found] == pytest.approx([11.0, 11.5, 12.0, 12.5, 13.0, 14.0, 14.0])


def test_removed_rule_and_unjudged_rule_have_a_history() -> None:
    assert history([], [], None, "psi", 0).what_if == ()
    found = history([VerdictRow("a", HOUR, "breach", 0.5, 0.2, HOUR)], [], None, "psi", HOUR)
    assert [one.kind for one in found.what_if].count("silent") == 1
    rows = [
        VerdictRow("a", HOUR, "breach", math.nan, 0.2, HOUR),
        VerdictRow("a", 2 * HOUR, "error", None, None, 2 * HOUR),
    ]
    odd = history(rows, [], None, "psi", HOUR)
    assert len(odd.ticks) == 2


def test_first_breach_is_of_the_present_episode() -> None:
    ticks = [
        PastVerdict(i * HOUR, 1.0, 0.5, status)
        for i, status in enumerate(["breach", "ok", "breach", "no_data", "breach"], 1)
    ]
    assert first_breach(ticks, 3 * HOUR, 5 * HOUR) == 3 * HOUR
    assert first_breach(ticks, 0, 5 * HOUR) == 3 * HOUR
    assert first_breach([], 7, 9) == 7


def test_history_of_a_real_rule_agrees_with_its_alert() -> None:
    world = World("      - {alert: Drift, drift: psi, features: [income], above: 0.2, for: 1h, keep_firing_for: 2h}")
    rng = np.random.default_rng(0)
    phases = []
    for hour in range(40):
        frame = houses(hour, 300)
        frame["income"] *= 1 + 0.8 * (rng.random() < 0.5)
        world.send(frame, hour)
        alert = world.tick(hour)["Drift", "income", ""]
        phases.append(alert.state.phase)
    found = world.explain(alert)["history"]
    assert [tick["end"] for tick in found["ticks"]] == [(hour + 1) * HOUR for hour in range(40)]
    present = next(one for one in found["what_if"] if one["kind"] == "present")
    began = [i for i, phase in enumerate(phases) if phase == "firing" and (i == 0 or phases[i - 1] != "firing")]
    assert present["episodes"] == len(began) > 1
    assert present["firing"] == sum(phase == "firing" for phase in phases[:-1]) * HOUR
    assert present["since"] == (alert.state.fired_at if phases[-1] == "firing" else 0)
    silent = next(one for one in found["what_if"] if one["kind"] == "silent")
    assert silent["episodes"] == 0 < present["threshold"] < silent["threshold"]


def test_late_ground_truth_is_replayed_by_ticks() -> None:
    """Labels come every fourth hour, of all hours before: each window that is judged is judged at several ticks."""
    world = World(
        "      - {alert: PricesOff, performance: rmse, worse_than_reference: 10%, for: 2h, keep_firing_for: 3h}"
    )
    rng, n, waiting, phases, judged = np.random.default_rng(1), 400, [], [], []
    for hour in range(48):
        if hour % 4 == 0:
            for of, truth in waiting:
                ids = [f"p{of * n + i}" for i in range(n)]
                world.store.commit([ground_truth(ids, truth, times=[hour * HOUR + 1] * n)], 0)
            world.windows.touch_ground_truth("m")
            waiting = []
        frame = houses(hour, n, [f"N{i:02d}" for i in range(20)] if rng.random() < 0.5 else ())
        world.send(frame, hour, known=0.0)
        waiting.append((hour, frame["price"].tolist()))
        alert = world.tick(hour)["PricesOff", "", ""]
        phases.append(alert.state.phase)
        judged.append((alert.verdict.result.status, alert.verdict.end))
    found = world.explain(alert)["history"]
    ends = [end for _, end in judged]
    assert len(set(ends)) < len(ends), "windows were judged more than once"
    assert [tick["end"] for tick in found["ticks"]] == sorted(set(ends)), "what is drawn is by window"
    present = next(one for one in found["what_if"] if one["kind"] == "present")
    began = [i for i, phase in enumerate(phases) if phase == "firing" and (i == 0 or phases[i - 1] != "firing")]
    assert present["episodes"] == len(began) > 1
    assert present["firing"] == sum(phase == "firing" for phase in phases[:-1]) * HOUR
    assert present["since"] == (alert.state.fired_at if phases[-1] == "firing" else 0)
    assert "at the tick at which it was given" in found["note"]


def test_revisions_show_growing_coverage_of_one_window() -> None:
    world, n = World(), 1000
    arrives = (
        (0, 0.6),
        (1, 0.75),
        (2, 0.9),
        (3, 1.0),
    )  # hours after the window, share of the ground truth that is known
    frames = [houses(hour, n, ("N03", "N08", "N16") if hour == 8 else ()) for hour in range(9)]
    for hour in range(12):
        if hour < 9:
            world.send(frames[hour], hour, known=0.6)
        for (_, before), (late, after) in itertools.pairwise(arrives):
            of = hour - late
            if 0 <= of < 9:
                told = range(round(before * n), round(after * n))
                ids, truth = [f"p{of * n + i}" for i in told], frames[of]["price"].tolist()[told.start : told.stop]
                world.store.commit([ground_truth(ids, truth, times=[hour * HOUR + 1] * len(ids))], 0)
                world.windows.touch_ground_truth("m")
        alerts = world.tick(hour)
        if hour == 8:
            assert alerts["PricesOff", "", ""].verdict.result.maturity == "provisional"
    alert = next(a for a in alerts.values() if a.rule == "PricesOff")
    found = world.explain(alert)["history"]
    revisions = found["revisions"]
    assert (
        (revisions[0]["start"], revisions[0]["end"]) == (alert.verdict.start, alert.verdict.end) == (8 * HOUR, 9 * HOUR)
    )
    assert [one["with_truth"] for one in revisions] == [600, 750, 900, 1000]
    assert [one["coverage"] for one in revisions] == [0.6, 0.75, 0.9, 1.0]
    assert [one["maturity"] for one in revisions] == ["provisional"] * 3 + ["final"]
    widths = [one["high"] - one["low"] for one in revisions]
    assert widths[-1] < widths[0]
    assert found["ticks"][-1]["low"] == revisions[-1]["low"]
