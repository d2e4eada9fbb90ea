"""The search for slices: what is there is named exactly, and what is not there is not named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from stats.worlds import LOSSES, TOWNS, Floats, World, world

from otel_mlmon.stats.slices.search import Codes, Slice, Trust, search

MARGIN = 1.15**2 - 1  # 15 % of the root mean squared error
Conditions = tuple[tuple[str, str], ...]


def _search(of: World, losses: Floats, expected: Floats | None = None, **options: Any) -> list[Slice]:
    given = {"margin": MARGIN, "min_rows": 50, "confidence": 0.99, **options}
    return search(of.columns, losses, np.ones(len(of)) if expected is None else expected, **given)


def _named(of: World, losses: Floats, **options: Any) -> set[Conditions]:
    return {part.conditions for part in _search(of, losses, **options)}


def _towns(*numbers: int) -> set[Conditions]:
    return {(("town", f"= {number}"),) for number in numbers}


@pytest.mark.parametrize("losses", sorted(LOSSES))
def test_nothing_is_named_in_99_of_100_windows_in_which_nothing_is_wrong(losses: str) -> None:
    named = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of = world(rng)
        named += bool(_named(of, LOSSES[losses](rng, len(of))))
    assert named <= 2


def test_nothing_is_named_among_wrong_classes_where_nothing_is_wrong() -> None:
    named = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of = world(rng)
        expected = rng.uniform(0.02, 0.4, TOWNS)[of.town]
        named += bool(_named(of, (rng.random(len(of)) < expected) * 1.0, expected=expected))
    assert named <= 2


def test_towns_with_larger_errors_are_not_named_where_that_is_expected() -> None:
    named = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of = world(rng)
        scale = np.exp(0.5 * rng.normal(size=TOWNS))[of.town] ** 2
        named += bool(_named(of, scale * LOSSES["normal"](rng, len(of)), expected=scale))
    assert named <= 2


def test_an_expectation_off_by_a_tenth_names_nothing_where_that_is_tolerated() -> None:
    named = {0.0: 0, 0.1: 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of = world(rng)
        expected = np.exp(0.1 * rng.normal(size=TOWNS))[of.town] * np.exp(0.2 * rng.normal(size=len(of)))
        losses = LOSSES["normal"](rng, len(of))
        for tolerance in named:
            named[tolerance] += bool(_named(of, losses, expected=expected, trust=Trust(tolerance)))
    assert named[0.1] <= 2 < named[0.0]


def test_pairs_that_are_as_much_worse_as_expected_are_not_named() -> None:
    """Noisy expectations are smoothed by label before rows are ranked by them, which knows of no pairs."""
    named = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        codes = rng.integers(5, size=(2, 3000)).astype(np.int32)
        expected = np.where(codes[0] == codes[1], 8.0, 1.0)
        columns = {name: Codes(of, tuple("abcde")) for name, of in zip(("day", "hour"), codes, strict=True)}
        losses = expected * LOSSES["normal"](rng, 3000)
        named += bool(
            search(columns, losses, expected, margin=0.05, min_rows=50, confidence=0.99, trust=Trust(noisy=True))
        )
    assert named <= 2


def test_a_window_that_is_worse_everywhere_has_no_slices() -> None:
    rng = np.random.default_rng(0)
    of = world(rng)
    assert _named(of, 2 * LOSSES["normal"](rng, len(of))) == set()


def test_three_bad_towns_of_twenty_are_named_and_nothing_else() -> None:
    exact = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        of = world(rng)
        bad = rng.choice(TOWNS, 3, replace=False)
        losses = LOSSES["normal"](rng, len(of)) * np.where(np.isin(of.town, bad), 2.5, 1.0)
        exact += _named(of, losses) == _towns(*bad.tolist())
    assert exact >= 48


def test_neighbours_on_the_map_are_named_one_by_one_instead_of_as_a_range() -> None:
    """Towns 2, 7 and 12 have the same longitude, and most of its range's rows are theirs."""
    exact = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        of = world(rng)
        losses = LOSSES["normal"](rng, len(of)) * np.where(np.isin(of.town, (2, 7, 12)), 3.0, 1.0)
        exact += _named(of, losses) == _towns(2, 7, 12)
    assert exact >= 49


def test_with_heavy_tails_some_towns_are_named_in_part_but_hardly_ever_what_is_fine() -> None:
    """A town whose few largest errors happen to be small has a mean that is fine, and only a part of it is not."""
    whole = in_part = fine = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        of = world(rng)
        bad = np.isin(of.town, (3, 7, 11))
        for part in _search(of, LOSSES["lognormal"](rng, len(of)) * np.where(bad, 4.0, 1.0)):
            if {part.conditions} <= _towns(3, 7, 11):
                whole += 1
            else:
                in_part, fine = in_part + bool(bad[part.mask].all()), fine + (not bad[part.mask].all())
    assert whole >= 285
    assert in_part <= 12
    assert fine <= 2


def test_a_bad_range_of_a_number_is_named_though_others_go_with_it() -> None:
    exact = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        of = world(rng)
        bad = of.columns["income"].codes == 5
        exact += _named(of, LOSSES["normal"](rng, len(of)) * np.where(bad, 2.0, 1.0)) == {(("income", "bin 5"),)}
    assert exact >= 48


def test_a_bad_pair_is_named_where_either_part_alone_is_fine() -> None:
    exact = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        of = world(rng, 8000)
        bad = (of.columns["longitude"].codes == 2) & (of.columns["age"].codes == 6)
        found = _named(of, LOSSES["normal"](rng, len(of)) * np.where(bad, 3.0, 1.0))
        exact += found == {(("longitude", "bin 2"), ("age", "bin 6"))}
    assert exact >= 48


def test_a_bad_part_whose_parts_are_all_as_bad_is_named_as_a_whole() -> None:
    exact = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        of = world(rng)
        bad = of.columns["new"].codes == 0  # nine tenths of the rows; every pair with it is bad, too
        exact += _named(of, LOSSES["normal"](rng, len(of)) * np.where(bad, 2.0, 1.0)) == {(("new", "= no"),)}
    assert exact >= 48


def test_what_is_reported_is_of_all_rows_of_the_slice() -> None:
    rng = np.random.default_rng(0)
    of = world(rng)
    losses = LOSSES["normal"](rng, len(of)) * np.where(of.town == 4, 4.0, 1.0)
    (part,) = _search(of, losses)
    mask = of.town == 4
    assert (part.mask == mask).all()
    assert (part.rows, part.expected) == (int(mask.sum()), 1.0)
    assert part.mean == pytest.approx(losses[mask].mean())
    assert part.p_value < 1e-10


def test_wrong_classes_are_counted() -> None:
    exact = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        of = world(rng)
        expected = rng.uniform(0.05, 0.15, TOWNS)[of.town]
        losses = (rng.random(len(of)) < np.where(np.isin(of.town, (1, 8)), 3 * expected, expected)) * 1.0
        exact += _named(of, losses, expected=expected) == _towns(1, 8)
    assert exact >= 47


def test_only_the_two_hundred_most_frequent_labels_name_slices_and_ids_name_none() -> None:
    rng = np.random.default_rng(0)
    n = 30_000
    ids = Codes(np.arange(n, dtype=np.int32), tuple(map(str, range(n))))
    many = Codes(rng.integers(300, size=n).astype(np.int32), tuple(map(str, range(300))))
    order = np.argsort(-np.bincount(many.codes), kind="stable").tolist()
    for rank, found in ((0, True), (31, True), (199, True), (200, False), (299, False)):
        losses = LOSSES["normal"](rng, n) * np.where(many.codes == order[rank], 9.0, 1.0)
        named = search({"id": ids, "many": many}, losses, np.ones(n), margin=0.3, min_rows=20, confidence=0.99)
        assert [part.conditions for part in named] == ([(("many", str(order[rank])),)] if found else [])


def test_pairs_use_the_thirty_most_frequent_labels_and_others_are_named_alone() -> None:
    rng = np.random.default_rng(0)
    n = 12_000
    town = np.where(np.arange(n) < 10_000, np.arange(n) % 40, 40).astype(np.int32)
    columns = {
        "town": Codes(town, tuple(map(str, range(41)))),
        "age": Codes(rng.integers(3, size=n).astype(np.int32), tuple("abc")),
    }
    losses = LOSSES["normal"](rng, n) * np.where(town == 39, 3.0, 1.0)
    (part,) = search(columns, losses, np.ones(n), margin=0.3, min_rows=50, confidence=0.99)
    assert part.conditions == (("town", "39"),)
    assert (part.mask == (town == 39)).all()


def test_rows_without_a_label_are_in_no_slice() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-1, 5, size=3000).astype(np.int32)
    losses = LOSSES["normal"](rng, 3000) * np.where(codes == -1, 5.0, 1.0)
    found = search({"x": Codes(codes, tuple("abcde"))}, losses, np.ones(3000), margin=0.3, min_rows=50, confidence=0.99)
    assert found == []


def test_no_losses_no_columns_and_few_rows_have_no_slices() -> None:
    of = world(np.random.default_rng(0))
    assert _named(of, np.zeros(len(of))) == set()
    few = {name: Codes(column.codes[:60], column.labels) for name, column in of.columns.items()}
    options: dict[str, Any] = {"margin": 0.1, "min_rows": 50, "confidence": 0.9}
    assert search(few, np.ones(60), np.ones(60), **options) == []
    assert search({}, np.ones(600), np.ones(600), **options) == []


def test_a_code_without_a_label_is_refused() -> None:
    columns = {"x": Codes(np.full(200, 3, np.int32), ("a", "b"))}
    with pytest.raises(ValueError, match="column 'x' has codes up to 3, and 2 labels"):
        search(columns, np.ones(200), np.ones(200), margin=0.1, min_rows=50, confidence=0.9)


@pytest.mark.parametrize(
    ("losses", "expected", "message"),
    [
        (np.full(4000, np.nan), np.ones(4000), "losses must be finite and not negative, found .nan"),
        (np.ones(4000), -np.ones(4000), "expected must be finite and not negative, found .-1.0"),
        (
            np.ones(10),
            np.ones(10),
            "all columns must have the length of losses, 10; found .'expected': 10, 'town': 4000",
        ),
    ],
)
def test_losses_that_are_none_are_refused(losses: Floats, expected: Floats, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _search(world(np.random.default_rng(0)), losses, expected)
