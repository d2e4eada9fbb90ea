"""Predictions of house prices with their ground truth, and a reference made of such rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.checks.context import EvaluationContext, ModelView, WindowRows
from otel_mlmon.lab.simulate.memory import MemoryWindows
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.values import Reference, RowBlock
from otel_mlmon.values.query import RowQuery, WindowQuery

HOUR = 3_600_000_000_000
NAMES = Columns(prediction="predicted", ground_truth="price")


def houses(rng: np.random.Generator, n: int = 4000, towns: int = 20) -> dict[str, Any]:
    """Prices, and predictions whose errors are a tenth of the price; the richer the town, the larger the houses."""
    town = rng.integers(towns, size=n)
    rooms = rng.integers(2, 9, size=n)
    age = rng.uniform(0, 80, n)
    price = 50_000 * (1 + 0.1 * town) * (0.5 + rooms / 8) * (1.2 - age / 200)
    predicted = price * (1 + 0.1 * rng.normal(size=n))
    return {
        "town": np.array([f"town-{i:02}" for i in range(towns)])[town],
        "rooms": rooms,
        "age": age,
        "garage": rng.random(n) < 0.4,
        "latitude": town // 5 + rng.uniform(-0.6, 0.6, n),
        "longitude": town % 5 + rng.uniform(-0.6, 0.6, n),
        "predicted": predicted,
        "price": price,
    }


def rows(columns: dict[str, Any], names: Columns = NAMES) -> RowBlock:
    """One hour of rows of version v1; a price of NaN is not known."""
    found = rows_of(Path("rows"), pa.table(columns), names, "houses", "v1")
    n = len(found)
    return replace(found, times=np.arange(n) * HOUR // n, truth_times=np.zeros(n, np.int64))


def reference(columns: dict[str, Any], names: Columns = NAMES, *, estimators: bool = True) -> Reference:
    found = rows(columns, names)
    found = replace(found, times=found.times * 0)
    made = create_reference(found, name="training", version="v1", segments=names.segments, source="", created="")
    return with_estimators(made, found)[0] if estimators else made


def all_of(block: RowBlock) -> npt.NDArray[np.int64]:
    return np.arange(len(block))


def case(block: RowBlock, made: Reference | None, *segments: str) -> ModelView:
    """The hour as a check of outcomes sees it."""
    windows = MemoryWindows(block, lambda model, version, name: made, HOUR)
    profiles = windows.window(WindowQuery("houses", "training", 0, HOUR, segments, 10 * HOUR))
    context = EvaluationContext(
        model="houses",
        version="v1",
        start=0,
        end=HOUR,
        time=10 * HOUR,
        reference=made,
        windows={profile.segment: profile for profile in profiles},
        rows=WindowRows(lambda keys: windows.rows(RowQuery("houses", [(0, HOUR)], keys))),
    )
    return context.view("")
