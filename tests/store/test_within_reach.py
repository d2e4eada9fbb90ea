"""Sums with a horizon, against a plain list: a correction replaces the value before, however late it comes."""

from __future__ import annotations

import pytest
from batches import SECOND, ground_truth, predictions
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_mlmon.store import Store
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows

PANE = 10 * SECOND
REACH = 60 * SECOND
EVER = 10**6 * PANE

_prediction = st.tuples(st.integers(0, 8), st.integers(0, 300), st.sampled_from([1.0, 2.5, -4.0]))
_truth = st.tuples(st.integers(0, 8), st.integers(0, 400), st.sampled_from([0.0, 1.0, 7.5, None]))
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), st.lists(_prediction, min_size=1, max_size=4, unique_by=lambda row: row[0])),
        st.tuples(st.just("tell"), st.lists(_truth, min_size=1, max_size=5)),
        st.tuples(st.just("close"), st.just([])),
    ),
    max_size=14,
)


class World:
    def __init__(self) -> None:
        self.store = Store(None, dedup_margin_ns=EVER)
        self.windows = Windows(self.store, lambda *_: None, pane_ns=PANE, horizon_ns=REACH)
        self.windows.plan("m", Plan({"training": ()}), "plan", 0)
        self.predictions: dict[str, tuple[int, float]] = {}
        self.truths: list[tuple[str, int, float | None]] = []

    def predict(self, rows: list[tuple[int, int, float]]) -> None:
        ids, times = [f"p{number}" for number, *_ in rows], [at * SECOND for _, at, _ in rows]
        batch = predictions([{"x": 1.0}] * len(rows), [value for *_, value in rows], ids=ids, times=times)
        self.store.commit([batch], 0)
        self.windows.touch("m", batch.times.to_numpy())
        for id_, at, (*_, value) in zip(ids, times, rows, strict=True):
            self.predictions.setdefault(id_, (at, value))

    def tell(self, rows: list[tuple[int, int, float | None]]) -> None:
        told = [(f"p{number}", at * SECOND, value) for number, at, value in rows]
        ids, times, values = zip(*told, strict=True)
        self.store.commit([ground_truth(list(ids), list(values), times=list(times))], 0)
        self.windows.touch_ground_truth("m")
        # The very same again is a duplicate; of several in one batch, the last one stands.
        self.truths += [one for i, one in enumerate(told) if one not in told[i + 1 :] and one not in self.truths]

    def errors(self, by: int) -> list[float]:
        found = []
        for id_, (at, value) in self.predictions.items():
            counts = [
                v for of, t, v in self.truths if of == id_ and abs(t - at) <= REACH and (t // PANE + 1) * PANE <= by
            ]
            if counts and counts[-1] is not None:
                found.append(value - counts[-1])
        return found


@settings(max_examples=150, deadline=None)
@given(steps=_steps, by=st.integers(0, 45))
def test_ground_truth_within_reach_is_counted_and_corrected_whatever_comes_with_it(
    steps: list[tuple[str, list[tuple[int, int, float]]]], by: int
) -> None:
    world = World()
    for kind, rows in steps:
        if kind == "predict":
            world.predict(rows)
        elif kind == "tell":
            world.tell(rows)  # type: ignore[arg-type]
        else:
            world.windows.close("m", EVER)
    world.windows.close("m", EVER)
    for known in (by * PANE, EVER):
        expected = world.errors(known)
        whole = [
            w.performance for w in world.windows.window(WindowQuery("m", "training", 0, EVER, (), known, fields=False))
        ]
        assert sum(counts.with_truth for counts in whole) == len(expected)
        assert sum(counts.sum_error for counts in whole) == pytest.approx(sum(expected), abs=1e-9)
    world.store.close()


def test_a_correction_takes_back_what_a_far_older_batch_had_told() -> None:
    """What is looked at goes back from the oldest that a commit tells of: another one's age must not matter."""
    world = World()
    world.predict([(1, 200, 5.0), (2, 10, 5.0)])
    world.tell([(1, 230, 1.0)])
    world.windows.close("m", EVER)
    world.tell([(1, 262, 2.0), (2, 20, 4.0)])  # of the first beyond reach, in one commit with something old
    world.windows.close("m", EVER)
    world.tell([(1, 250, 3.0)])
    world.windows.close("m", EVER)
    (whole,) = world.windows.window(WindowQuery("m", "training", 0, EVER, (), EVER, fields=False))
    assert (whole.performance.with_truth, whole.performance.sum_error) == (2, (5.0 - 3.0) + (5.0 - 4.0))
    world.store.close()
