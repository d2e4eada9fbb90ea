"""Models with scores and losses, their references, and windows to estimate; for the tests of this directory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from otel_mlmon.checks.context import EvaluationContext, ModelView, WindowRows
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.values import PerformanceCounts, Reference, RowBlock, WindowProfile

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
NUMBERS = Columns("predicted", "truth")
CLASSES = Columns("predicted", "truth", scores=(("yes", "score"),))


def real(name: str) -> pd.DataFrame:
    """A real data set, or a skipped test."""
    path = DATA / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    return pd.read_csv(path)


def regression(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A regression on real data: rows of the reference and later ones, none of which the model was fitted to."""
    frame = _shuffled(name)
    predicted = _boosting(HistGradientBoostingRegressor(random_state=0), frame, frame.truth, "predict")
    return _two_thirds(frame.assign(predicted=predicted))


def classification(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same data; is the truth above its median?"""
    frame = _shuffled(name)
    above = np.where(frame.truth > frame.truth.median(), "yes", "no")
    score = _boosting(HistGradientBoostingClassifier(random_state=0), frame, above, "predict_proba")[:, 1]
    return _two_thirds(frame.assign(truth=above, score=score, predicted=np.where(score > 0.5, "yes", "no")))


def _shuffled(name: str) -> pd.DataFrame:
    frame = real(name).rename(columns={"median_house_value": "truth", "cnt": "truth"})
    frame = frame.drop(columns=[c for c in ("instant", "dteday", "casual", "registered") if c in frame])
    frame["truth"] = frame["truth"].astype(float)
    return frame.sample(frac=1, random_state=0).reset_index(drop=True)


def _boosting(model: Any, frame: pd.DataFrame, truth: Any, method: str) -> Any:
    x = pd.get_dummies(frame.drop(columns="truth")).astype(float)
    third = len(frame) // 3
    with threadpool_limits(1):
        return getattr(model.fit(x[:third], truth[:third]), method)(x)


def _two_thirds(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    third = len(frame) // 3
    return frame[third : 2 * third].reset_index(drop=True), frame[2 * third :].reset_index(drop=True)


def block_of(frame: pd.DataFrame, columns: Columns, *, in_order: bool = False) -> RowBlock:
    """The frame's rows, one a second where they are in order."""
    rows = rows_of(Path("frame"), pa.Table.from_pandas(frame, preserve_index=False), columns, "m", "1")
    return replace(rows, times=np.arange(len(rows)) * 10**9) if in_order else rows


def reference_of(frame: pd.DataFrame, columns: Columns, *, in_order: bool = False) -> Reference:
    """What is normal in the frame's rows, with estimators."""
    rows = block_of(frame, columns, in_order=in_order)
    made = create_reference(
        rows,
        name="training",
        version="1",
        segments=columns.segments,
        source="frame",
        created="2026-01-01T00:00:00+00:00",
    )
    return with_estimators(made, rows)[0]


def case_of(reference: Reference | None, block: RowBlock | None, segment: str = "") -> ModelView:
    """The rows as one window, without anything that estimates do not need."""
    rows = WindowRows(lambda keys: block)
    n = len(rows.select("1", segment)[1]) if block is not None else 0
    windows = {segment: WindowProfile("m", "1", segment, 0, 1, n, 0, {}, PerformanceCounts())} if n else {}
    return EvaluationContext("m", "1", 0, 1, 1, reference, windows, rows).view(segment)


def houses(seed: int, n: int, **changed: Any) -> pd.DataFrame:
    """Prices whose error grows with `x`, 0 to 1, and is twice as large in the country; some areas are not known."""
    rng = np.random.default_rng(seed)
    x = rng.beta(changed.get("a", 1.0), changed.get("b", 1.0), n)
    place = rng.choice(["town", "country"], n, p=[0.7, 0.3])
    predicted = 100 + 50 * x
    spread = (1 + 9 * x) * np.where(place == "country", 2.0, 1.0) * changed.get("worse", 1.0)
    area = np.where(rng.random(n) < 0.1, np.nan, rng.normal(80, 20, n))
    return pd.DataFrame(
        {"x": x, "place": place, "area": area, "predicted": predicted, "truth": predicted + spread * rng.normal(size=n)}
    )


def loans(seed: int, n: int, *, power: float = 2.0, centre: float = 0.0) -> pd.DataFrame:
    """Yes or no with a known probability; the score is that to a power, so that it needs calibration.

    `centre` moves the features: away from 0 the answers are more certain.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(centre, 1.5, n)
    p = 1 / (1 + np.exp(-x))
    happens = rng.random(n) < p
    return pd.DataFrame(
        {
            "x": x,
            "region": rng.choice(["north", "south"], n),
            "score": p**power,
            "predicted": np.where(p > 0.5, "yes", "no"),
            "truth": np.where(happens, "yes", "no"),
        }
    )


def three(seed: int, n: int) -> pd.DataFrame:
    """Three classes, softmax scores of which are the probabilities."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 3)) * 1.5
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    drawn = (rng.random((n, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
    names = np.array(["a", "b", "c"])
    scores: Mapping[str, Any] = {f"score_{name}": p[:, i] for i, name in enumerate(names)}
    return pd.DataFrame({"z": z[:, 0], **scores, "predicted": names[p.argmax(axis=1)], "truth": names[drawn]})


THREE = Columns("predicted", "truth", scores=tuple((name, f"score_{name}") for name in "abc"))
