"""Cost of the processor's stages for 100,000 predictions of 20 features, against NumPy counting the same numbers.

Run: `python benchmarks/processor.py`
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.store import Store
from otel_mlmon.values import FieldColumn, PredictionBatch, Reference
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows
from otel_mlmon.wire.semconv import FIELD_PREDICTION

ROWS, FEATURES, ROUNDS = 100_000, 20, 5
MINUTE = 60 * 10**9


def main() -> None:
    """Print medians and ratios."""
    rng = np.random.default_rng(0)
    data = {f"f{i}": rng.normal(size=ROWS) for i in range(FEATURES)}
    table = pa.table({**data, "p": data["f0"]})
    reference = create_reference(
        rows_of(Path("made up"), table, Columns(prediction="p"), "m", ""),
        name="training",
        version="",
        segments=(),
        source="",
        created="",
    )
    rounds = [_round(data, reference, number) for number in range(ROUNDS)]
    base = statistics.median(r["count with NumPy"] for r in rounds)
    print(f"{ROWS} predictions, {FEATURES} features, one hour of panes; median of {ROUNDS} rounds")
    for name in rounds[0]:
        seconds = statistics.median(r[name] for r in rounds)
        print(f"  {name:<28} {seconds * 1e3:8.1f} ms   {seconds / base:6.2f} x NumPy")


def _round(data: dict[str, np.ndarray], reference: Reference, number: int) -> dict[str, float]:
    store = Store(None)
    windows = Windows(store, lambda *_: reference, pane_ns=MINUTE)
    windows.plan("m", Plan({"training": ()}), str(number), 0)
    batch = _batch(data)

    def numpy_counts() -> None:
        for name, values in data.items():
            np.histogram(values, np.asarray(reference.fields[name].edges))
            np.isnan(values).sum()

    def touch_and_close() -> None:
        windows.touch("m", batch.times.to_numpy())
        windows.close("m", 61 * MINUTE)

    found = {
        "count with NumPy": _timed(numpy_counts),
        "commit": _timed(lambda: store.commit([batch], 0)),
        "profile its panes": _timed(touch_and_close),
        "sum a window of an hour": _timed(
            lambda: windows.window(WindowQuery("m", "training", 0, 60 * MINUTE, (), 61 * MINUTE))
        ),
    }
    store.close()
    return found


def _batch(data: dict[str, np.ndarray]) -> PredictionBatch:
    fields = {name: FieldColumn(pa.array(values)) for name, values in data.items()}
    return PredictionBatch(
        "m",
        "1",
        pa.array([f"id{i}" for i in range(ROWS)]),
        pa.array(np.arange(ROWS, dtype=np.int64) * (60 * MINUTE // ROWS)),
        {**fields, FIELD_PREDICTION: FieldColumn(pa.array(data["f0"]))},
        {},
        pa.nulls(ROWS, pa.float64()),
        pa.nulls(ROWS, pa.string()),
        pa.nulls(ROWS, pa.string()),
        pa.nulls(ROWS, pa.string()),
        pa.array(np.zeros(ROWS, np.int32)),
    )


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
