"""A million predictions joined with their ground truth, and what a day's ground truth costs after ten days and after a hundred.

Run: `python benchmarks/ground_truth.py`. Times are for a DuckDB file in a temporary directory; ratios are of steps timed in one run.
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

from otel_mlmon.semconv import FIELD_PREDICTION
from otel_mlmon.store import Store
from otel_mlmon.values import FieldColumn, GroundTruthBatch, PredictionBatch
from otel_mlmon.window import Plan, Windows

A_DAY, DAYS, FEATURES, AT_ONCE = 10_000, 100, 5, 10_000
HOUR = 3600 * 10**9
DAY = 24 * HOUR
DELAY = 28 * DAY


def main() -> None:
    """Print times, memory and ratios."""
    with tempfile.TemporaryDirectory() as directory:
        short, long = (_Model(Path(directory), days) for days in (DAYS // 10, DAYS))
        for model in (short, long):
            print(f"{model.days * A_DAY:,} predictions of {FEATURES} features over {model.days} days, as much ground truth, "
                  f"each {DELAY // DAY} days late, in commits of {AT_ONCE:,} rows")  # fmt: skip
            base = _timed(model.commit_predictions)
            model.close()
            for what, seconds in (
                ("commit predictions", base),
                ("commit ground truth", _timed(model.commit_truths)),
                ("join it, and add it up", _timed(model.close)),
                ("a window of 28 days", _timed(model.window)),
            ):
                print(f"  {what:<28} {seconds:8.2f} s   {seconds / base:6.2f} x committing the predictions")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB "
              f"(DuckDB's limit is 1 GB; file {long.store.size_bytes() / 1e6:,.0f} MB)")  # fmt: skip
        days = {model.days: [_timed(model.correct_a_day) for _ in range(5)] for model in (short, long)}
        first, second = (sorted(times)[2] for times in days.values())
        print(f"one more day's ground truth ({A_DAY:,}, committed and joined; median of 5):")
        print(f"  beside {DAYS // 10} days of history {first:6.3f} s, beside {DAYS} days {second:6.3f} s: {second / first:.2f} x "
              f"for 10 x the history")  # fmt: skip


class _Model:
    def __init__(self, directory: Path, days: int) -> None:
        self.days = days
        self.store = Store(directory / f"{days}.duckdb")
        self.windows = Windows(self.store, lambda *_: None, pane_ns=HOUR)
        self.windows.plan("m", Plan({"training": ()}), "plan", 0)
        self._rng = np.random.default_rng(days)
        n = days * A_DAY
        self._ids = np.array([f"{value:016x}-{i}" for i, value in enumerate(self._rng.integers(0, 2**60, n))])
        self._times = np.sort(self._rng.integers(0, days * DAY, n))

    def commit_predictions(self) -> None:
        for first in range(0, len(self._ids), AT_ONCE):
            rows = slice(first, first + AT_ONCE)
            n = len(self._ids[rows])
            fields = {f"f{i}": FieldColumn(pa.array(self._rng.normal(size=n))) for i in range(FEATURES)}
            batch = PredictionBatch(
                "m", "1", pa.array(self._ids[rows]), pa.array(self._times[rows]),
                {**fields, FIELD_PREDICTION: FieldColumn(pa.array(self._rng.normal(size=n)))}, {},
                pa.nulls(n, pa.float64()), pa.nulls(n, pa.string()), pa.nulls(n, pa.string()), pa.nulls(n, pa.string()),
                pa.array(np.zeros(n, np.int32)),
            )  # fmt: skip
            self.store.commit([batch], 0)
            self.windows.touch("m", self._times[rows])

    def commit_truths(self) -> None:
        for first in range(0, len(self._ids), AT_ONCE):
            self._tell(
                np.arange(first, min(first + AT_ONCE, len(self._ids))), self._times[first : first + AT_ONCE] + DELAY
            )

    def _tell(self, rows: np.ndarray, times: np.ndarray) -> None:
        values = FieldColumn(pa.array(self._rng.normal(size=len(rows))))
        self.store.commit([GroundTruthBatch("m", pa.array(self._ids[rows]), pa.array(times), values)], 0)
        self.windows.touch_ground_truth("m")

    def close(self) -> None:
        self.windows.close("m", (self.days + 100) * DAY)

    def window(self) -> None:
        end = self.days * DAY
        found = self.windows.window("m", "training", end - 28 * DAY, end, (), end + 2 * DELAY, fields=False)
        counts = found[0].performance
        assert counts.with_truth == counts.predictions > 0

    def correct_a_day(self) -> None:
        """The newest day's ground truth again, each with another value: the costlier case, as the old one is taken back."""
        newest = np.arange(len(self._ids) - A_DAY, len(self._ids))
        self._tell(newest, self._times[newest] + DELAY + self._rng.integers(DAY, 2 * DAY))
        self.close()


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
