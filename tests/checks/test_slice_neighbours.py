"""Rows that resemble their neighbours in time say the same more than once, and count for less."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from checks.houses import case, houses, reference, rows

from otel_mlmon.checks.slices import slices
from otel_mlmon.rulefile import SliceRule
from otel_mlmon.stats.estimation.held_out import mean_design_effects
from otel_mlmon.stats.slices.neighbours import Neighbours
from otel_mlmon.stats.slices.search import Codes, Slice, Trust, search
from otel_mlmon.values import Floats, Reference

DAYS, HOURS = 120, 24


def _losses(rng: np.random.Generator, days: int = DAYS) -> Floats:
    """By the hour; each day is better or worse as a whole, and none differs from another on average."""
    day = np.repeat(np.exp(0.8 * rng.normal(size=days) - 0.32), HOURS)
    return day * rng.normal(size=days * HOURS) ** 2


def _columns(rng: np.random.Generator) -> dict[str, Codes]:
    """Weather is that of a day; the hour is in all days alike."""
    weather = np.repeat(rng.integers(10, size=DAYS), HOURS)
    hour = np.arange(DAYS * HOURS) % HOURS
    return {
        name: Codes(codes.astype(np.int32), tuple(f"= {i}" for i in range(codes.max() + 1)))
        for name, codes in (("weather", weather), ("hour", hour))
    }


def _named(columns: dict[str, Codes], losses: Floats, trust: Trust, times: np.ndarray | None = None) -> list[Slice]:
    trust = replace(trust, times=times)
    return search(columns, losses, np.ones(len(losses)), margin=0.3, min_rows=50, confidence=0.99, trust=trust)


@cache
def _alike() -> Trust:
    return Trust(alike=mean_design_effects(_losses(np.random.default_rng(1_000), 400)))


def test_days_worse_by_chance_name_no_weather_once_design_effects_are_known() -> None:
    named = {"independent": 0, "alike": 0}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        columns, losses = _columns(rng), _losses(rng)
        named["independent"] += bool(_named(columns, losses, Trust()))
        named["alike"] += bool(_named(columns, losses, _alike()))
    assert named["alike"] <= 2
    assert named["independent"] >= 20


def test_an_hour_of_all_days_is_found_as_if_its_rows_were_independent() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        columns, losses = _columns(rng), _losses(rng)
        losses *= np.where(columns["hour"].codes == 8, 9.0, 1.0)
        assert (("hour", "= 8"),) in {part.conditions for part in _named(columns, losses, _alike())}


def test_neighbours_are_in_the_order_of_time_and_not_of_the_rows() -> None:
    rng = np.random.default_rng(0)
    columns, losses = _columns(rng), _losses(rng)
    losses *= np.where(columns["weather"].codes == 3, 6.0, 1.0)
    (part,) = _named(columns, losses, _alike())
    mixed = rng.permutation(len(losses))
    given = {name: Codes(column.codes[mixed], column.labels) for name, column in columns.items()}
    (again,) = _named(given, losses[mixed], _alike(), mixed)
    assert part.conditions == again.conditions == (("weather", "= 3"),)
    assert again.p_value == pytest.approx(part.p_value)
    unaware = _named(columns, losses, Trust())
    assert part.p_value > next(one.p_value for one in unaware if one.conditions == part.conditions)


def test_the_design_effect_of_a_slice_is_that_of_its_own_blocks() -> None:
    near = Neighbours(np.arange(1000), {100: 11.0, 10: 2.0, 5000: 900.0})
    every_tenth = np.arange(1000) % 10 == 0
    assert near.effect(np.arange(1000) < 100) == 11.0
    assert near.effect(every_tenth) == 1 + 9 * 10 / 99  # ten of them in each hundred
    assert near.effect(np.zeros(1000, bool)) == near.effect(np.arange(1000) == 7) == 1.0


def test_the_rule_takes_from_the_reference_how_alike_neighbours_are() -> None:
    columns = houses(np.random.default_rng(1))
    there = np.arange(len(columns["price"])) < 200
    columns = {**columns, "garage": there, "predicted": columns["predicted"] * np.where(there, 1.12, 1.0)}
    known = reference(houses(np.random.default_rng(0), 4000))
    assert known.estimators is not None
    independent, alike = (
        slices(SliceRule(alert="Slices", slices="rmse"), case(rows(columns), made))
        for made in (known, _with_effects(known, {100: 50.0}))
    )
    assert independent.p_value is not None
    assert alike.p_value is not None
    assert independent.p_value <= 0.01 < alike.p_value


def _with_effects(known: Reference, effects: dict[int, float]) -> Reference:
    assert known.estimators is not None
    losses = {loss: replace(model, design_effects=effects) for loss, model in known.estimators.losses.items()}
    return replace(known, estimators=replace(known.estimators, losses=losses))
