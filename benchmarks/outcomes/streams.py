"""Histories of predictions with delayed ground truth: healthy, or with a loss of performance at a known time."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import cross_val_predict

from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.values import Reference, RowBlock, Texts
from otel_mlmon.wire.semconv import FIELD_PREDICTION

DATA: Final = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
HOUR: Final = 3_600_000_000_000
DAY: Final = 24 * HOUR
WEEK_ROWS: Final = 168  # bike sharing has a row an hour
REFERENCE_ROWS: Final = 10_000
NEVER: Final = 0.05  # share of the ground truth that never arrives
_PERIOD: Final = 6 * HOUR  # in which rows are similar
_PERSISTENCE: Final = 0.5  # correlation of a period with the next
_TILT: Final = 0.6

Task = Literal["regression", "classification"]
Order = Literal["independent", "alike", "weeks"]
_SOURCES: Final = {
    # file, target, segment key, features that the rows keep, columns that are no features of the model
    "california": (
        "california_housing.csv",
        "median_house_value",
        "ocean_proximity",
        ("median_income", "latitude", "longitude"),
        (),
    ),
    "bike": (
        "bike_sharing_hourly.csv",
        "cnt",
        "workingday",
        ("hr", "temp", "hum"),
        ("instant", "dteday", "casual", "registered"),
    ),
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic of a model.

    `order`: independent rows; rows that are similar for some hours (harder or easier than usual, too high or too low);
    or whole weeks of bike sharing, each in its own order. `batch`: all predictions of a week are made in one hour.
    `delay`: median time to the ground truth; delays are log-normal.
    """

    data: str
    task: Task
    order: Order
    per_day: int
    delay: int = 3 * DAY
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Life:
    """A reference and the history after it."""

    reference: Reference
    normal: RowBlock  # the rows of the reference
    rows: RowBlock


@lru_cache
def population(data: str, task: Task) -> RowBlock:
    """Return all rows with the truth and the prediction of a gradient boosted model that was not fitted to them.

    The classifier predicts whether the target is above its median.
    """
    file, target, key, kept, left_out = _SOURCES[data]
    table = read_table(DATA / file)
    numeric = [c for c in table.column_names if c not in (target, *left_out) and not pa.types.is_string(table[c].type)]
    inputs = np.stack([np.asarray(table[c].to_pandas(), dtype=float) for c in numeric], axis=1)
    truth = np.asarray(table[target].to_pandas(), dtype=float)
    columns = {name: table[name] for name in kept} | {key: pa.array([str(v) for v in table[key].to_pylist()])}
    if task == "regression":
        predicted = cross_val_predict(HistGradientBoostingRegressor(random_state=0), inputs, truth, cv=_folds())
        columns |= {"predicted": pa.array(predicted), "truth": pa.array(truth)}
        named = Columns(prediction="predicted", ground_truth="truth", segments=(key,))
    else:
        above = truth > np.median(truth)
        model = HistGradientBoostingClassifier(random_state=0)
        scores = cross_val_predict(model, inputs, above, cv=_folds(), method="predict_proba")[:, 1]
        columns |= {
            "predicted": pa.array(np.where(scores > 0.5, "yes", "no")),
            "probability": pa.array(scores),
            "truth": pa.array(np.where(above, "yes", "no")),
        }
        named = Columns(prediction="predicted", ground_truth="truth", segments=(key,), scores=(("yes", "probability"),))
    return rows_of(Path(file), pa.table(columns), named, "m", "1")


def _folds() -> object:
    from sklearn.model_selection import KFold

    return KFold(5, shuffle=True, random_state=0)


def segment_key(data: str) -> str:
    """Return the segment key of a data set's rules."""
    return _SOURCES[data][2]


def live(
    traffic: Traffic,
    days: int,
    rng: np.random.Generator,
    *,
    fall: Callable[[RowBlock, npt.NDArray[np.bool_]], RowBlock] | None = None,
    after: int = 0,
) -> Life:
    """Draw a reference of REFERENCE_ROWS rows in the order of time, and then `days` days.

    From time `after` (ns) on, the rows of the mask have the `fall`.
    """
    pool = population(traffic.data, traffic.task)
    before = replace(traffic, batch=False)
    normal = _drawn(pool, before, REFERENCE_ROWS, rng)
    made = create_reference(
        normal, name="training", version="", segments=[segment_key(traffic.data)], source="", created=""
    )
    rows = _drawn(pool, traffic, days * traffic.per_day, rng)
    if fall is not None:
        rows = fall(rows, rows.times >= after)
    return Life(made, normal, _late(rows, traffic.delay, rng))


def _drawn(pool: RowBlock, traffic: Traffic, n: int, rng: np.random.Generator) -> RowBlock:
    times = np.arange(n) * DAY // traffic.per_day
    if traffic.order == "weeks":
        first = rng.integers(0, len(pool) // WEEK_ROWS, -(-n // WEEK_ROWS)) * WEEK_ROWS
        index = (first[:, None] + np.arange(WEEK_ROWS)).reshape(-1)[:n]
    elif traffic.order == "alike":
        index = _alike(pool, times, rng)
    else:
        index = rng.choice(len(pool), n)
    if traffic.batch:
        times = times // (7 * DAY) * 7 * DAY + times % HOUR
    return replace(take(pool, index), times=times)


def _alike(pool: RowBlock, times: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw rows with large errors, and rows with too high predictions, at a rate that changes from period to period."""
    hard, high = (_ranks(values) for values in _errors(pool))
    periods = times // _PERIOD
    found, state = np.empty(len(times), np.int64), rng.normal(size=2)
    for period in range(int(periods[-1]) + 1):
        state = _PERSISTENCE * state + (1 - _PERSISTENCE**2) ** 0.5 * rng.normal(size=2)
        weights = np.exp(_TILT * (state[0] * hard + state[1] * high))
        here = np.flatnonzero(periods == period)
        found[here] = rng.choice(len(pool), len(here), p=weights / weights.sum())
    return found


def _errors(pool: RowBlock) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    cells = pool.fields[FIELD_PREDICTION]
    if cells.numbers is not None:
        error = cells.numbers - pool.truth_numbers
    else:
        (scores,) = (c.numbers for name, c in pool.fields.items() if name != FIELD_PREDICTION and "score" in name)
        assert scores is not None
        error = scores - (np.array([*pool.truth_texts.labels, ""])[pool.truth_texts.codes] == "yes")
    return np.abs(error), error


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ranks from -1 to 1."""
    return 2 * np.argsort(np.argsort(values)) / max(len(values) - 1, 1) - 1


def _late(rows: RowBlock, median: int, rng: np.random.Generator) -> RowBlock:
    delays = median * np.exp(rng.normal(size=len(rows)))
    come = rows.truth_known & (rng.random(len(rows)) >= NEVER)
    return replace(rows, truth_known=come, truth_times=rows.times + delays.astype(np.int64))


def larger_errors(factor: float) -> Callable[[RowBlock, npt.NDArray[np.bool_]], RowBlock]:
    """Multiply the errors by a factor; the RMSE grows by it."""

    def fall(rows: RowBlock, mask: npt.NDArray[np.bool_]) -> RowBlock:
        predicted = rows.fields[FIELD_PREDICTION].numbers
        assert predicted is not None
        moved = predicted + factor * (rows.truth_numbers - predicted)
        return replace(rows, truth_numbers=np.where(mask, moved, rows.truth_numbers))

    return fall


def more_mistakes(points: float, rng: np.random.Generator) -> Callable[[RowBlock, npt.NDArray[np.bool_]], RowBlock]:
    """Change the true class in a share of the rows; accuracy falls by it."""

    def fall(rows: RowBlock, mask: npt.NDArray[np.bool_]) -> RowBlock:
        truth, cells = rows.truth_texts, rows.fields[FIELD_PREDICTION].texts
        assert cells is not None and len(truth.labels) == 2
        right = np.array(truth.labels)[truth.codes] == np.array(cells.labels)[cells.codes]
        turned = mask & right & (rng.random(len(rows)) < points / right.mean())
        return replace(rows, truth_texts=Texts(np.where(turned, 1 - truth.codes, truth.codes), truth.labels))

    return fall
