"""Predictions of scikit-learn models on real data: all of the truth is known, and some of it is then hidden."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.values import Reference, RowBlock

FILES = {"california_housing": "median_house_value", "bike_sharing_hourly": "cnt"}
DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True)
class Data:
    live: pd.DataFrame
    errors: npt.NDArray[np.float64]  # of the live rows
    reference: Reference


def rows(frame: pd.DataFrame, known: Any = True) -> RowBlock:
    """Where `known` is false, the ground truth is not."""
    given = frame.assign(truth=np.where(known, frame["truth"], np.nan))
    columns = Columns(prediction="predicted", ground_truth="truth")
    return rows_of(Path("rows"), pa.Table.from_pandas(given, preserve_index=False), columns, "m", "1")


@cache
def data(name: str) -> Data:
    """A model fitted to a third of the rows, a reference made of the next third, and the rest live."""
    path = DATA / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    frame = pd.read_csv(path).sample(frac=1, random_state=0, ignore_index=True)
    frame = frame.drop(columns=["instant", "dteday", "casual", "registered"], errors="ignore")
    frame = frame.rename(columns={FILES[name]: "truth"})
    frame["truth"] = frame["truth"].astype(float)
    features = frame.drop(columns="truth")
    numbers = features.assign(**{c: features[c].astype("category").cat.codes for c in features.select_dtypes("str")})
    third = len(frame) // 3
    model = HistGradientBoostingRegressor(random_state=0).fit(numbers[:third], frame["truth"][:third])
    frame["predicted"] = model.predict(numbers)
    known = rows(frame[third : 2 * third])
    made = create_reference(known, name="training", version="1", segments=(), source="", created="")
    live = frame[2 * third :].reset_index(drop=True)
    errors = (live["predicted"] - live["truth"]).to_numpy()
    return Data(live, errors, with_estimators(made, known)[0])
