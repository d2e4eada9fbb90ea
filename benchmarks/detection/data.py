"""The two data sets as populations of rows with 20 features, a model's prediction and the truth."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_predict

from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.values import Reference, RowBlock

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
FEATURES = 20
REFERENCE_ROWS = 10_000
HOUR = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class DataSet:
    """`own`: the data set's own features. The others, up to 20, are independent resamples of the own features."""

    name: str
    rows: RowBlock
    own: tuple[str, ...]


def load(name: str) -> DataSet:
    """Load `california` or `bike`. A gradient boosted model predicts rows that it was not fitted to."""
    file, target, leave_out = {
        "california": ("california_housing.csv", "median_house_value", ()),
        # A demand model has no use of the date, and must not see the two parts of the target.
        "bike": ("bike_sharing_hourly.csv", "cnt", ("instant", "dteday", "casual", "registered")),
    }[name]
    table = read_table(DATA / file)
    table = table.drop_columns([column for column in leave_out if column in table.column_names])
    own = tuple(column for column in table.column_names if column != target)
    numeric = [c for c in own if not pa.types.is_string(table[c].type)]
    inputs = np.stack([np.asarray(table[c].to_pandas(), dtype=float) for c in numeric], axis=1)
    truth = np.asarray(table[target].to_pandas(), dtype=float)
    predicted = cross_val_predict(HistGradientBoostingRegressor(random_state=0), inputs, truth, cv=5)
    table = table.append_column("predicted", pa.array(predicted))
    rng = np.random.default_rng(0)
    for i in range(FEATURES - len(own)):
        column = own[i % len(own)]
        table = table.append_column(
            f"other_{i // len(own) + 1}_{column}", table[column].take(pa.array(rng.permutation(table.num_rows)))
        )
    rows = rows_of(Path(file), table, Columns(prediction="predicted", ground_truth=target), name, "1")
    return DataSet(name, rows, own)


def reference(data: DataSet, rng: np.random.Generator) -> tuple[Reference, RowBlock]:
    """Draw rows at random with replacement; return their reference and the rows."""
    rows = take(data.rows, rng.choice(len(data.rows), REFERENCE_ROWS))
    made = create_reference(
        rows, name="training", version="", segments=[], source="a resample", created="2026-01-01T00:00:00Z"
    )
    return made, rows


def stream(data: DataSet, size: int, windows: int, rng: np.random.Generator) -> RowBlock:
    """Draw `windows` hours of `size` rows each like the reference; their ground truth is known at once."""
    rows = take(data.rows, rng.choice(len(data.rows), size * windows))
    times = np.arange(size * windows) * HOUR // size
    return replace(rows, times=times, truth_times=times)
