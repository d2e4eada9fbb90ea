"""California housing and bike sharing as populations to draw rows from, with slices to break."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from benchmarks.detection.data import DATA
from otel_mlmon.checks.slices import slice_columns
from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.stats.slices.search import Codes
from otel_mlmon.values import Reference, RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION

AREAS = 60
NEIGHBOURS = 20
REFERENCE_ROWS = 10_000
COMMON = 0.3  # a larger share of the population is no slice
KINDS = ("value", "range", "loose range", "pair")

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Conditions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bad:
    """A slice of the population. `conditions` name it; a range with arbitrary ends has none."""

    kind: str
    conditions: Conditions
    rows: Mask


@dataclass(frozen=True)
class Population:
    """`errors[near[i]]` are the errors of the rows most similar to row i: possible errors of row i."""

    name: str
    rows: RowBlock
    errors: Floats
    near: npt.NDArray[np.int64]
    days: Places  # of each row, in the order of time; all 0 where there is no time

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, places: Places, rng: np.random.Generator) -> tuple[RowBlock, Floats]:
        """Give each row the error of a similar row; return the rows and the errors. Each draw has other errors."""
        error = self.errors[self.near[places, rng.integers(NEIGHBOURS, size=len(places))]]
        return with_errors(take(self.rows, places), error), error

    def reference(self, rng: np.random.Generator) -> Reference:
        return reference(self.draw(rng.integers(len(self), size=REFERENCE_ROWS), rng)[0])

    def columns(self, known: Reference) -> dict[str, Codes]:
        """Return the labels of all rows, with the ranges of this reference."""
        return slice_columns(self.rows, np.arange(len(self)), known)

    def bad(self, columns: dict[str, Codes], rng: np.random.Generator) -> Bad:
        """Draw a slice of a random kind, with 1 % to 30 % of the rows."""
        kind = str(rng.choice(KINDS))
        while True:
            found = self._range(rng) if kind == "loose range" else _named(kind, columns, rng)
            if 0.01 <= found.rows.mean() <= COMMON:
                return found

    def _range(self, rng: np.random.Generator) -> Bad:
        numbers = [
            cells.numbers
            for name, cells in self.rows.fields.items()
            if name != FIELD_PREDICTION and cells.numbers is not None and len(np.unique(cells.numbers)) > 30
        ]
        x, low = numbers[rng.integers(len(numbers))], rng.uniform(0, 0.85)
        first, last = np.nanquantile(x, [low, low + rng.uniform(0.08, 0.15)])
        return Bad("loose range", (), (x >= first) & (x <= last))


def _named(kind: str, columns: dict[str, Codes], rng: np.random.Generator) -> Bad:
    of = {"value": "= ", "range": " to "}.get(kind, "")
    able = [name for name, column in columns.items() if any(of in label for label in column.labels)]
    conditions, rows = [], np.ones(len(next(iter(columns.values())).codes), bool)
    for name in rng.choice(able, 2 if kind == "pair" else 1, replace=False).tolist():
        column = columns[name]
        label = str(rng.choice([label for label in column.labels if of in label]))
        conditions.append((name, label))
        rows &= column.codes == column.labels.index(label)
    return Bad(kind, tuple(conditions), rows)


def with_errors(rows: RowBlock, error: Floats) -> RowBlock:
    """Set the truth to the prediction plus an error, at least 0."""
    predicted = rows.fields[FIELD_PREDICTION].numbers
    return replace(rows, truth_numbers=np.maximum(predicted + error, 0.0))


def reference(rows: RowBlock) -> Reference:
    made = create_reference(rows, name="training", version="", segments=[], source="a draw", created="")
    return with_estimators(made, rows)[0]


@cache
def load(name: str) -> Population:
    """Load `california` or `bike`. A gradient boosted model predicts rows (bike: weeks) that it was not fitted to."""
    file, target, leave_out = {
        "california": ("california_housing.csv", "median_house_value", ()),
        "bike": ("bike_sharing_hourly.csv", "cnt", ("instant", "dteday", "casual", "registered")),
    }[name]
    table = read_table(DATA / file)
    days = np.zeros(table.num_rows, np.int64)
    if "dteday" in table.column_names:
        days = np.unique(np.asarray(table["dteday"].to_pandas()).astype("datetime64[D]"), return_inverse=True)[1]
    table = table.drop_columns([column for column in leave_out if column in table.column_names])
    truth = np.asarray(table[target].to_pandas(), dtype=float)
    numeric = [c for c in table.column_names if c != target and not pa.types.is_string(table[c].type)]
    inputs = np.stack([np.asarray(table[c].to_pandas(), dtype=float) for c in numeric], axis=1)
    # The hours of a week stay together, so that the model was not fitted to the neighbours of a predicted hour.
    weeks = np.random.default_rng(0).permutation(days.max() // 7 + 1)[days // 7]
    folds = (
        GroupKFold(5).split(inputs, truth, weeks)
        if days.any()
        else KFold(5, shuffle=True, random_state=0).split(inputs)
    )
    predicted = cross_val_predict(HistGradientBoostingRegressor(random_state=0), inputs, truth, cv=list(folds))
    predicted = np.maximum(predicted, 1.0)
    table = table.append_column("predicted", pa.array(predicted))
    if "latitude" in numeric:
        place = inputs[:, [numeric.index("longitude"), numeric.index("latitude")]]
        area = KMeans(AREAS, n_init=1, random_state=0).fit_predict(place)
        table = table.append_column("area", pa.array([f"area-{i:02}" for i in area]))
    rows = rows_of(Path(file), table, Columns(prediction="predicted", ground_truth=target), name, "1")
    like = np.nan_to_num(np.column_stack([inputs, predicted, predicted]))
    like = (like - like.mean(axis=0)) / like.std(axis=0)
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(like).kneighbors(like, return_distance=False)
    return Population(name, rows, truth - predicted, near, days)
