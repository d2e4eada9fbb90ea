"""Sums over ground truth: at any time, whatever comes when, they are those of the labels that were known then."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from batches import SECOND, ground_truth, predictions
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from otel_mlmon.stats.metrics.classification import accuracy
from otel_mlmon.stats.metrics.regression import rmse
from otel_mlmon.store import Store
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.window import Plan, Windows

PANE = 10 * SECOND
EVER = 10**6 * SECOND
TOWNS = ("a", "b", None)


class World:
    """A store and its windows, and beside it a plain list of what was sent."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.store = Store(path)
        self.predictions: dict[str, tuple[int, float, str | None]] = {}
        self.truths: list[tuple[str, int, float | None]] = []
        self._open()

    def _open(self) -> None:
        self.windows = Windows(self.store, lambda *_: None, pane_ns=PANE)
        self.windows.plan("m", Plan({"training": ("town",)}), "plan", 0)

    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.path)
        self._open()

    def predict(self, rows: list[tuple[int, int, float, int]]) -> None:
        ids = [f"p{number}" for number, *_ in rows]
        batch = predictions(
            [{"town": TOWNS[town]} for *_, town in rows],
            [value for _, _, value, _ in rows],
            ids=ids,
            times=[at * SECOND for _, at, _, _ in rows],
        )
        self.store.commit([batch], 0)
        self.windows.touch("m", batch.times.to_numpy())
        for id_, (_, at, value, town) in zip(ids, rows, strict=True):
            self.predictions.setdefault(id_, (at * SECOND, value, TOWNS[town]))

    def tell(self, rows: list[tuple[int, int, float | None]]) -> None:
        ids = [f"p{number}" for number, *_ in rows]
        times = [at * SECOND for _, at, _ in rows]
        self.store.commit([ground_truth(ids, [value for *_, value in rows], times=times)], 0)
        self.windows.touch_ground_truth("m")
        told = [(id_, at, value) for id_, at, (*_, value) in zip(ids, times, rows, strict=True)]
        # The very same again is a duplicate; of several in one batch, the last one stands.
        self.truths += [one for i, one in enumerate(told) if one not in told[i + 1 :] and one not in self.truths]

    def known(self, by: int) -> dict[str, float | None]:
        """The last ground truth of each id that was known at the end of its pane."""
        return {id_: value for id_, at, value in self.truths if (at // PANE + 1) * PANE <= by}

    def errors(self, start: int, end: int, by: int, town: str | None) -> list[float]:
        known = self.known(by)
        return [
            value - truth
            for id_, (at, value, where) in self.predictions.items()
            if start <= at < end and (town is None or where == town) and (truth := known.get(id_)) is not None
        ]


def _same(world: World, start: int, end: int, by: int) -> None:
    found = {
        w.segment: w
        for w in world.windows.window(WindowQuery("m", "training", start, end, ("town",), by, fields=False))
    }
    for segment, town in (("", None), ("town=a", "a"), ("town=b", "b")):
        expected = world.errors(start, end, by, town)
        if segment not in found:
            assert not expected
            continue
        counts = found[segment].performance
        assert counts.with_truth == counts.numeric == len(expected)
        assert counts.sum_error == pytest.approx(math.fsum(expected), abs=1e-6)
        assert counts.sum_squared_error == pytest.approx(math.fsum(e * e for e in expected), rel=1e-9, abs=1e-6)


_prediction = st.tuples(st.integers(0, 12), st.integers(0, 60), st.sampled_from([1.0, 2.5, -4.0]), st.integers(0, 2))
_truth = st.tuples(st.integers(0, 14), st.integers(0, 200), st.sampled_from([0.0, 1.0, 7.5, None]))
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), st.lists(_prediction, min_size=1, max_size=6, unique_by=lambda row: row[0])),
        st.tuples(st.just("tell"), st.lists(_truth, min_size=1, max_size=6)),
        st.tuples(st.just("close"), st.integers(1, 30)),
        st.tuples(st.just("restart"), st.just(0)),
    ),
    max_size=14,
)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=_steps, by=st.integers(0, 25), first=st.integers(0, 5), length=st.integers(1, 8))
def test_sums_are_those_of_what_was_known_whatever_came_when(
    steps: list[tuple[str, list[tuple[int, ...]]]],
    by: int,
    first: int,
    length: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(tmp_path_factory.mktemp("known") / "s.duckdb")
    for kind, rows in steps:
        if kind == "predict":
            world.predict(rows)  # type: ignore[arg-type]
        elif kind == "tell":
            world.tell(rows)  # type: ignore[arg-type]
        elif kind == "close":
            world.windows.close("m", rows * PANE)  # type: ignore[operator]
        else:
            world.restart()
    world.windows.close("m", EVER)
    _same(world, first * PANE, (first + length) * PANE, by * PANE)
    _same(world, 0, EVER, EVER)
    world.store.close()


def test_a_day_of_labels_is_added_and_nothing_is_read_again() -> None:
    """Profiles of panes are not made anew because ground truth comes."""
    world = World()
    world.predict([(i, i % 60, 1.0, i % 3) for i in range(13)])
    world.windows.close("m", EVER)
    world.tell([(i, 100, 2.0) for i in range(13)])
    assert world.windows.close("m", EVER) == 0, "no pane is redone"
    (whole,) = [w for w in world.windows.window(WindowQuery("m", "training", 0, EVER, (), EVER)) if not w.segment]
    assert whole.performance.with_truth == 13
    assert rmse(whole.performance).value == 1.0


def test_a_correction_changes_what_is_known_from_then_on_only() -> None:
    world = World()
    world.predict([(1, 5, 1.0, 0)])
    world.tell([(1, 15, 3.0)])
    world.tell([(1, 55, 2.0)])
    world.windows.close("m", EVER)
    seen = {}
    for by in (10, 20, 50, 60):
        (whole,) = [
            w for w in world.windows.window(WindowQuery("m", "training", 0, EVER, (), by * SECOND)) if not w.segment
        ]
        seen[by] = (whole.performance.with_truth, whole.performance.sum_error)
    assert seen == {10: (0, 0.0), 20: (1, -2.0), 50: (1, -2.0), 60: (1, -1.0)}


def test_rows_as_they_were_known_agree_with_the_sums() -> None:
    world = World()
    world.predict([(i, i % 60, 1.0, i % 3) for i in range(13)])
    world.tell([(i, 10 * i, float(i)) for i in range(13)])
    world.tell([(i, 10 * i + 5, float(-i)) for i in range(0, 13, 2)])
    world.windows.close("m", EVER)
    for by in range(0, 200, 10):
        block = world.windows.rows(RowQuery("m", [(0, EVER)], (), by * SECOND))
        assert block is not None
        (whole,) = [
            w for w in world.windows.window(WindowQuery("m", "training", 0, EVER, (), by * SECOND)) if not w.segment
        ]
        assert int(block.truth_known.sum()) == whole.performance.with_truth
        assert np.nansum(1.0 - block.truth_numbers[block.truth_known]) == pytest.approx(whole.performance.sum_error)


def test_classes_of_a_correction_move_from_one_cell_to_another() -> None:
    store = Store(None)
    windows = Windows(store, lambda *_: None, pane_ns=PANE)
    windows.plan("m", Plan({"training": ()}), "plan", 0)
    batch = predictions([{"x": 1.0}] * 3, ["yes", "no", "yes"], ids=["a", "b", "c"])
    store.commit([batch], 0)
    windows.touch("m", batch.times.to_numpy())
    for ids, truths in ((["a", "b", "c"], ["yes", "yes", "no"]), (["b"], ["no"]), (["c"], [None])):
        store.commit([ground_truth(ids, truths)], 0)
        windows.touch_ground_truth("m")
        windows.close("m", EVER)
    (whole,) = windows.window(WindowQuery("m", "training", 0, EVER, (), EVER))
    assert whole.performance.confusion == {("yes", "yes"): 1, ("no", "no"): 1}
    assert accuracy(whole.performance.confusion) == 1.0


def test_a_history_that_comes_at_once_is_summed_up_to_the_horizon() -> None:
    store = Store(None)
    windows = Windows(store, lambda *_: None, pane_ns=PANE, horizon_ns=10 * PANE)
    windows.plan("m", Plan({"training": ()}), "plan", 0)
    times = [i * PANE for i in range(200)]
    batch = predictions([{"x": 1.0}] * 200, [1.0] * 200, ids=[str(i) for i in range(200)], times=times)
    truth = ground_truth([str(i) for i in range(199)], [2.0] * 199, times=[t + 3 * PANE for t in times[:199]])
    store.commit([batch, truth], 0)
    windows.touch("m", np.array(times))
    windows.touch_ground_truth("m")
    windows.close("m", EVER)
    (whole,) = windows.window(WindowQuery("m", "training", 0, EVER, (), EVER))
    assert (whole.rows, whole.performance.with_truth) == (200, 199)
    store.commit([ground_truth(["199"], [2.0], times=[times[199] + 20 * PANE])], 0)
    windows.touch_ground_truth("m")
    windows.close("m", EVER)
    (whole,) = windows.window(WindowQuery("m", "training", 0, EVER, (), EVER))
    assert whole.performance.with_truth == 199
