"""Counts of any cells equal those of a loop over the values, however they came and wherever they are stored."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from batches import SECOND, predictions
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.store import Store
from otel_mlmon.values import FREQUENT_VALUES as HEAVY
from otel_mlmon.values import FieldProfile, FieldReference, Reference, WindowProfile
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows, profile
from otel_mlmon.wire.columns import ABSENT, json_text

EVER = 10**6 * SECOND
EMPTY = FieldProfile(0, 0, 0, 0, 0, 0, {}, 0.0, 0.0, math.nan, math.nan)
EDGES = (-1.0, 0.0, 1.0, 1.0)
NAMES = {int: "int", float: "float", str: "string", bool: "bool", list: "array", dict: "map"}


def _reference(*fields: FieldReference) -> Reference:
    return Reference("m", "training", "", "", "", 0, {field.name: field for field in fields})


REFERENCE = _reference(
    FieldReference("n", "float", "numeric", EMPTY, edges=EDGES),
    FieldReference("c", "string", "categorical", EMPTY, categories=("a", "false", "")),
)


def _window(store: Store, reference: Reference | None, *segments: str) -> dict[str, WindowProfile]:
    windows = Windows(store, lambda *_: reference, pane_ns=10 * SECOND)
    windows.plan("m", Plan({"training": segments}), "plan", 0)
    windows.close("m", EVER)
    return {w.segment: w for w in windows.window(WindowQuery("m", "training", 0, EVER, segments, EVER))}


def _expected(values: list[Any], reference: FieldReference) -> FieldProfile:
    """What the profile must be, one value at a time."""
    there = [v for v in values if v is not ABSENT and v is not None]
    numbers = [float(v) for v in there if type(v) in (int, float)]
    finite = [n for n in numbers if math.isfinite(n)]
    names = [str(v) if type(v) is str else str(v).lower() for v in there if type(v) in (str, bool)]
    bins = [0] * (len(EDGES) + 1)
    for n in finite:
        place = sum(n >= edge for edge in EDGES)
        bins[len(EDGES) - 1 if n == EDGES[-1] else place] += 1
    heavy = Counter("0" if n == 0 else json_text(int(n) if n.is_integer() and abs(n) <= 2**53 else n) for n in finite)
    heavy.update(json_text(v) for v in there if type(v) in (str, bool))
    numeric = reference.kind == "numeric"
    return FieldProfile(
        absent=sum(v is ABSENT for v in values),
        null=sum(v is None for v in values),
        nan=sum(n != n for n in numbers),
        infinite=sum(math.isinf(n) for n in numbers),
        empty=names.count(""),
        lost=0,
        types=dict(Counter(NAMES[type(v)] for v in there)),
        sum=sum(finite),
        sum_squares=sum(n * n for n in finite),
        minimum=min(finite, default=math.nan),
        maximum=max(finite, default=math.nan),
        bins=np.array(bins) if numeric else None,
        categories=None if numeric else np.array([names.count(name) for name in reference.categories]),
        new={} if numeric else dict(Counter(n for n in names if n not in reference.categories)),
        top_values=dict(heavy),
    )


def _assert_same(found: FieldProfile, expected: FieldProfile) -> None:
    for name in ("absent", "null", "nan", "infinite", "empty", "lost", "types", "new", "top_values"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("minimum", "maximum", "sum", "sum_squares"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9, nan_ok=True), name
    for name in ("bins", "categories"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        assert one is None or one.tolist() == other.tolist(), name


_VALUES = st.one_of(
    st.sampled_from([ABSENT, None, math.nan, math.inf, -math.inf, "", "a", "true", "1", "é", True, False, [1], {}]),
    st.sampled_from([-1, -1.0, 0, -0.0, 1, 1.0, 0.5, 2, -7, 2**53 + 1, -(2**70)]),
    st.floats(-3, 3),
)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_profile_has_the_counts_of_its_values(data: st.DataObject) -> None:
    values = data.draw(st.lists(_VALUES, min_size=1, max_size=28))
    order = data.draw(st.permutations(range(len(values))))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(values)), max_size=3)) | {0, len(values)})
    towns = data.draw(st.lists(st.sampled_from(["x", "y", None]), min_size=len(values), max_size=len(values)))
    store = Store(None)
    for first, last in itertools.pairwise(cuts):
        part = order[first:last]
        rows = [{} if values[i] is ABSENT else {"n": values[i], "c": values[i]} for i in part]
        store.commit(
            [
                predictions(
                    rows,
                    ids=[f"{i}" for i in part],
                    times=[i * SECOND for i in part],
                    segments={"town": [towns[i] for i in part]},
                )
            ],
            0,
        )
    found = _window(store, REFERENCE, "town")
    for field in REFERENCE.fields.values():
        _assert_same(found[""].fields[field.name], _expected(values, field))
        for town in {"x", "y"} & set(towns):
            of_town = [value for value, where in zip(values, towns, strict=True) if where == town]
            _assert_same(found[f"town={town}"].fields[field.name], _expected(of_town, field))
    assert found[""].rows == len(values) == sum(w.rows for s, w in found.items() if s) + towns.count(None)


@pytest.mark.parametrize(
    ("edges", "value", "expected"),
    [
        ((0.0, 1.0, 2.0), -0.1, 0),
        ((0.0, 1.0, 2.0), 0.0, 1),
        ((0.0, 1.0, 2.0), 1.0, 2),
        ((0.0, 1.0, 2.0), 2.0, 2),  # the last bin holds its upper edge
        ((0.0, 1.0, 2.0), 2.1, 3),
        ((5.0, 5.0), 4.9, 0),  # a constant
        ((5.0, 5.0), 5.0, 1),
        ((5.0, 5.0), 5.1, 2),
        ((1.0, 2.0, 2.0), 1.5, 1),  # few values: a bin for each
        ((1.0, 2.0, 2.0), 2.0, 2),
    ],
)
def test_a_value_falls_into_its_bin(edges: tuple[float, ...], value: float, expected: int) -> None:
    assert bin_index(np.array([value]), edges).tolist() == [expected]


def test_constants_are_counted_although_every_pane_is_full_of_more_frequent_values() -> None:
    constants = {str(n): 0.02 for n in range(HEAVY + 10)} | {'"n/a"': 0.01}
    reference = _reference(FieldReference("x", "float", "numeric", EMPTY, edges=(0.0, 9e9), constants=constants))
    rows, times = [], []
    for pane in range(3):
        frequent = [1000.0 * (pane + 1) + i for i in range(HEAVY)] * 3
        values = [*frequent, *range(HEAVY + 10), *(["n/a"] if pane == 1 else [])]
        rows += [{"x": value} for value in values]
        times += [pane * 10 * SECOND] * len(values)
    store = Store(None)
    store.commit([predictions(rows, times=times)], 0)
    heavy = _window(store, reference)[""].fields["x"].top_values
    assert {n: heavy.get(n) for n in constants} == {n: 1 if n == '"n/a"' else 3 for n in constants}
    assert len(heavy) <= len(constants) + HEAVY


def test_values_that_are_no_constants_stay_bounded() -> None:
    store = Store(None)
    store.commit([predictions([{"x": i, "t": f"t{i}"} for i in range(500)], times=[0] * 500)], 0)
    fields = _window(store, _reference(FieldReference("t", "string", "categorical", EMPTY, categories=("t0",))))[
        ""
    ].fields
    assert len(fields["x"].top_values) == len(fields["t"].top_values) == len(fields["t"].new) == HEAVY
    assert fields["t"].categories is not None
    assert fields["t"].categories.tolist() == [1]


def test_a_field_is_counted_for_all_panes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[int] = Counter()
    count_cells = profile.count_cells

    def counted(cells: Any, reference: Any, groups: Any, n_groups: int) -> Any:
        calls[n_groups] += 1
        return count_cells(cells, reference, groups, n_groups)

    monkeypatch.setattr(profile, "count_cells", counted)
    store = Store(None)
    store.commit(
        [predictions([{"x": i, "town": "ab"[i % 2]} for i in range(900)], times=[i * 10 * SECOND for i in range(900)])],
        0,
    )
    _window(store, None, "town")
    assert calls == {900: 4}  # two fields, for the whole and by town


def test_rows_without_any_field_are_rows() -> None:
    store = Store(None)
    store.commit([predictions([{}] * 3, lost=[1, 0, 0])], 0)
    whole = _window(store, None)[""]
    assert (whole.rows, whole.lost_rows, whole.fields) == (3, 1, {})


def test_cut_off_cells_are_neither_absent_nor_rows_of_the_field() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.0}, {"x": None}, {}, {}], lost=[1, 1, 1, 0])], 0)
    found = _window(store, None)[""].fields["x"]
    assert (found.lost, found.absent, found.null, found.rows) == (2, 1, 0, 2)


def test_huge_numbers_do_no_harm() -> None:
    store = Store(None)
    store.commit([predictions([{"x": 1.5e308}, {"x": 1.5e308}], [1.5e308, 1.0])], 0)
    found = _window(store, None)[""].fields["x"]
    assert (found.sum, found.maximum) == (math.inf, 1.5e308)
