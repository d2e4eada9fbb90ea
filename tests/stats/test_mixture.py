"""Transformations of some values are recognised: units, signs, swaps, shifts, outliers, and none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from otel_mlmon.reference.create import bin_edges
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.drift.mixture import Density, Explanation, explain_values
from otel_mlmon.stats.drift.unit_score import unit_score

Draw = Callable[[np.random.Generator, int], np.ndarray]

SHAPES: dict[str, Draw] = {
    "lognormal": lambda rng, n: rng.lognormal(1, 0.6, n),
    "normal far from 0": lambda rng, n: rng.normal(100, 15, n),
    "whole numbers of few values": lambda rng, n: rng.integers(1, 6, n).astype(float),
    "whole numbers of many values": lambda rng, n: np.rint(rng.lognormal(6, 0.8, n)),
    "many zeros": lambda rng, n: np.where(rng.random(n) < 0.4, 0.0, rng.gamma(2, 3, n)),
}


def counted(values: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    return np.bincount(bin_index(values, edges), minlength=len(edges) + 1)


def explained(shape: Draw, change: Callable[[np.ndarray], None], seed: int = 0, n: int = 2000) -> Explanation:
    rng = np.random.default_rng(seed)
    reference, window = shape(rng, 20_000), shape(rng, n)
    change(window)
    edges = bin_edges(reference)
    return explain_values(
        window,
        edges,
        counted(reference, edges),
        zeros=float((reference == 0).mean()),
        whole=bool((reference == np.rint(reference)).all()),
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_explains_what_is_as_ever(shape: str) -> None:
    found = [explained(SHAPES[shape], lambda x: None, seed) for seed in range(5)]
    assert all(one.kind == "none" or one.score < 3 for one in found), found


@pytest.mark.parametrize("factor", [1000.0, 0.01, 3.28084, 1 / 3.28084])
@pytest.mark.parametrize("shape", SHAPES)
def test_another_unit_in_a_tenth_of_the_values_is_named_with_its_factor(shape: str, factor: float) -> None:
    def change(x: np.ndarray) -> None:
        x[::10] *= factor

    found = explained(SHAPES[shape], change)
    assert found.kind == "unit"
    assert factor in (found.factor, *found.factors), found
    if found.factor == factor:
        assert found.share == pytest.approx(0.1, rel=0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sign_that_is_lost_is_named(shape: str) -> None:
    def change(x: np.ndarray) -> None:
        x[::10] *= -1

    assert explained(SHAPES[shape], change).kind == "sign"


def test_eight_whole_numbers_of_a_thousand_are_enough_to_know_feet() -> None:
    def change(x: np.ndarray) -> None:
        x[:8] *= 3.28084

    found = explained(SHAPES["whole numbers of few values"], change, n=1000)
    assert (found.kind, found.factor) == ("unit", 3.28084)


@pytest.mark.parametrize("shape", ["lognormal", "normal far from 0", "whole numbers of many values"])
def test_a_shift_of_all_is_no_unit(shape: str) -> None:
    def change(x: np.ndarray) -> None:
        x += np.rint(0.5 * x.std()) if shape.startswith("whole") else 0.5 * x.std()

    assert explained(SHAPES[shape], change).kind == "shift"


def test_values_from_nowhere_in_particular_are_outliers() -> None:
    def change(x: np.ndarray) -> None:
        x[::20] = np.random.default_rng(9).uniform(x.max() * 1.1, x.max() * 3, len(x[::20]))

    assert explained(SHAPES["normal far from 0"], change).kind == "outliers"


def test_one_value_that_is_repeated_is_no_transformation() -> None:
    def change(x: np.ndarray) -> None:
        x[::20] = 1000 * 100.0

    assert explained(SHAPES["normal far from 0"], change).kind == "outliers"


def test_values_of_another_field_are_called_swapped() -> None:
    rng = np.random.default_rng(3)
    reference, other = rng.normal(0, 1, 20_000), rng.normal(40, 5, 20_000)
    edges, other_edges = bin_edges(reference), bin_edges(other)
    others = {"income": Density.of(other_edges, counted(other, other_edges)[1:-1])}
    window = np.where(np.arange(1000) % 5 == 0, rng.normal(40, 5, 1000), rng.normal(0, 1, 1000))
    found = explain_values(window, edges, counted(reference, edges), others)
    assert (found.kind, found.other) == ("swap", "income")
    assert explain_values(rng.normal(0, 1, 1000), edges, counted(reference, edges), others).kind == "none"


@pytest.mark.parametrize("window", [[], [0.0], [5.0] * 50, [1e308, -1e308], [float(2**62)] * 3, [1e-300] * 20])
@pytest.mark.parametrize("reference", [[], [1.0], [3.0] * 100, [-1e308, 0.0, 1e308], list(range(1000))])
def test_odd_values_have_an_answer(window: list[float], reference: list[float]) -> None:
    edges = bin_edges(np.array(reference, dtype=float))
    counts = counted(np.array(reference, dtype=float), edges) if edges else np.zeros(0, np.int64)
    found = explain_values(np.array(window), edges, counts)
    assert 0 <= found.share <= 1
    if edges:
        unit_score(edges, counts, counted(np.array(window), edges))


def test_the_score_of_another_unit_cries_wolf_as_rarely_as_it_says() -> None:
    rng = np.random.default_rng(4)
    reference = rng.lognormal(size=20_000)
    edges = bin_edges(reference)
    counts = counted(reference, edges)
    scores = [unit_score(edges, counts, counted(rng.lognormal(size=1000), edges)) for _ in range(500)]
    p_values = np.array([1.0 if score is None else score.p_value for score in scores])
    assert (p_values < 0.01).mean() <= 0.02
    assert (p_values < 0.001).mean() <= 0.006


@pytest.mark.parametrize("factor", [0.1, 1 / 3.28084, 3.28084])
def test_the_score_finds_another_unit_inside_the_range(factor: float) -> None:
    rng = np.random.default_rng(5)
    reference = rng.lognormal(size=20_000)
    edges = bin_edges(reference)
    found = 0
    for _ in range(20):
        window = rng.lognormal(size=3000)
        window[:300] *= factor
        inside = window[(window >= edges[0]) & (window <= edges[-1])]
        score = unit_score(edges, counted(reference, edges), counted(inside, edges))
        found += score is not None and score.p_value < 1e-4
    assert found >= 18


@pytest.mark.parametrize("factor", [10.764, 12.0, 3.2808])
@pytest.mark.parametrize("seed", range(4))
def test_the_unit_that_keeps_the_usual_digits_is_named_alone_among_close_units(factor: float, seed: int) -> None:
    def change(x: np.ndarray) -> None:
        x[::15] = (x[::15] * factor).round(1)

    found = explained(lambda rng, n: rng.lognormal(4.6, 0.35, n).round(1), change, seed)
    assert found.kind == "unit"
    assert found.factor == pytest.approx(factor, rel=1e-4)
    assert found.factors == ()


def test_only_size_separates_units_of_values_with_all_digits_and_doubt_is_said() -> None:
    def change(x: np.ndarray) -> None:
        x[::15] *= 10.764

    found = [explained(lambda rng, n: rng.lognormal(4.6, 0.35, n), change, seed, n=700) for seed in range(6)]
    assert all(one.kind == "unit" for one in found)
    assert any(one.factors for one in found)
