"""Cost of joining a million predictions with ground truth, and of a day's ground truth beside 10, 100 and 400 days.

Run: `python benchmarks/ground_truth.py`. Times are for a DuckDB file in a temporary directory; ratios compare steps of
one run.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from otel_mlmon.store import Store
from otel_mlmon.values import FieldColumn, GroundTruthBatch, PredictionBatch
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows
from otel_mlmon.wire.semconv import FIELD_PREDICTION

A_DAY, DAYS, FEATURES, AT_ONCE = 10_000, (10, 100, 400), 5, 10_000
HOUR = 3600 * 10**9
DAY = 24 * HOUR
DELAY = 28 * DAY
HORIZON = 60 * DAY


def main() -> None:
    """Print times, memory and ratios."""
    with tempfile.TemporaryDirectory() as directory:
        models = []
        for days in DAYS:
            model = _Model(Path(directory), days)
            models.append(model)
            print(
                f"{days * A_DAY:,} predictions of {FEATURES} features over {days} days, as much ground truth, "
                f"each {DELAY // DAY} days late, in commits of {AT_ONCE:,} rows"
            )
            base = _timed(model.commit_predictions)
            model.close()
            for what, seconds in (
                ("commit predictions", base),
                ("commit ground truth", _timed(model.commit_truths)),
                ("join it, and add it up", _timed(model.close)),
                ("a window of 28 days", _timed(model.window)),
            ):
                print(f"  {what:<28} {seconds:8.2f} s   {seconds / base:6.2f} x committing the predictions")
            print(
                f"  peak memory so far {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB "
                f"(DuckDB's limit is 1 GB; file {model.store.size_bytes() / 1e6:,.0f} MB)"
            )
        print(f"one more day's ground truth ({A_DAY:,}, committed and joined; median of 9, in turn):")
        turns = [[_timed(model.correct_a_day) for model in models] for _ in range(9)]
        medians = [sorted(times)[4] for times in zip(*turns, strict=True)]
        for days, seconds in zip(DAYS, medians, strict=True):
            print(f"  beside {days:3} days of history {seconds:6.3f} s: {seconds / medians[0]:.2f} x")


class _Model:
    def __init__(self, directory: Path, days: int) -> None:
        self.days = days
        self.store = Store(directory / f"{days}.duckdb")
        self.windows = Windows(self.store, lambda *_: None, pane_ns=HOUR, horizon_ns=HORIZON)
        self.windows.plan("m", Plan({"training": ()}), "plan", 0)
        self._rng = np.random.default_rng(days)
        n = days * A_DAY
        self._numbers = self._rng.integers(0, 2**60, n)
        self._times = np.sort(self._rng.integers(0, days * DAY, n))

    def _ids(self, rows: np.ndarray) -> pa.Array:
        return pa.array([f"{self._numbers[row]:016x}-{row}" for row in rows.tolist()])

    def commit_predictions(self) -> None:
        for first in range(0, len(self._times), AT_ONCE):
            rows = np.arange(first, min(first + AT_ONCE, len(self._times)))
            n = len(rows)
            fields = {f"f{i}": FieldColumn(pa.array(self._rng.normal(size=n))) for i in range(FEATURES)}
            batch = PredictionBatch(
                "m",
                "1",
                self._ids(rows),
                pa.array(self._times[rows]),
                {**fields, FIELD_PREDICTION: FieldColumn(pa.array(self._rng.normal(size=n)))},
                {},
                pa.nulls(n, pa.float64()),
                pa.nulls(n, pa.string()),
                pa.nulls(n, pa.string()),
                pa.nulls(n, pa.string()),
                pa.array(np.zeros(n, np.int32)),
            )
            self.store.commit([batch], 0)
            self.windows.touch("m", self._times[rows])

    def commit_truths(self) -> None:
        for first in range(0, len(self._times), AT_ONCE):
            rows = np.arange(first, min(first + AT_ONCE, len(self._times)))
            self._tell(rows, self._times[rows] + DELAY)

    def _tell(self, rows: np.ndarray, times: np.ndarray) -> None:
        values = FieldColumn(pa.array(self._rng.normal(size=len(rows))))
        self.store.commit([GroundTruthBatch("m", self._ids(rows), pa.array(times), values)], 0)
        self.windows.touch_ground_truth("m")

    def close(self) -> None:
        self.windows.close("m", (self.days + 100) * DAY)

    def window(self) -> None:
        end = self.days * DAY
        found = self.windows.window(
            WindowQuery("m", "training", end - 28 * DAY, end, (), end + 2 * DELAY, fields=False)
        )
        counts = found[0].performance
        assert counts.with_truth == counts.predictions > 0

    def correct_a_day(self) -> None:
        """Send the newest day's ground truth again with other values; the old values are withdrawn: this costs more."""
        newest = np.arange(len(self._times) - A_DAY, len(self._times))
        self._tell(newest, self._times[newest] + DELAY + self._rng.integers(DAY, 2 * DAY))
        self.close()


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
