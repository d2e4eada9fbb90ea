"""A price model in twenty neighbourhoods, whose features go together, with a store, windows and an engine around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from batches import SECOND, ground_truth, predictions

from otel_mlmon.engine.tick import Engine
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.server.explanations import Explanations
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Alert, ChangeBatch, ChangeEvent, Reference
from otel_mlmon.values.explanation_documents import explanation_to_json
from otel_mlmon.window import Plan, Windows

HOUR = 3600 * SECOND
PRICES_OFF = "      - {alert: PricesOff, performance: rmse, worse_than_reference: 10%}"
FEATURES = ("neighbourhood", "longitude", "latitude", "income", "rooms", "age", "size", "client")


def houses(seed: int, n: int, bad: Sequence[str] = (), off: float = 1.3) -> pd.DataFrame:
    """Return predictions with an error of about a tenth of the price.

    In `bad` neighbourhoods prices have fallen by the factor `off`, and predictions have not. Neighbourhoods lie on a
    grid and overlap, rich ones beside poor ones.
    """
    rng = np.random.default_rng(seed)
    place = rng.integers(20, size=n)
    income = np.exp(rng.normal(size=n) * 0.3 + 0.3 * (place % 4))
    rooms = np.clip(np.rint(3 + income + rng.normal(size=n)), 1, 12)
    size = 30 * rooms + rng.normal(size=n) * 15
    price = 50 + 60 * income + size + 10 * (place % 5)
    frame = pd.DataFrame(
        {
            "neighbourhood": [f"N{i:02d}" for i in place],
            "longitude": place % 5 + rng.uniform(-0.6, 0.6, n),
            "latitude": place // 5 + rng.uniform(-0.6, 0.6, n),
            "income": income,
            "rooms": rooms,
            "age": rng.uniform(0, 80, n),
            "size": size,
            "client": rng.choice(["web", "app", "batch"], n),
            "price": price,
            "predicted": price * (1 + 0.1 * rng.normal(size=n)),
        }
    )
    frame.loc[frame["neighbourhood"].isin(bad), "price"] /= off
    return frame


@cache
def reference(importances: bool = True) -> Reference:
    """Of good houses, with a model of the losses."""
    frame = houses(0, 8000)
    columns = Columns("predicted", "price", segments=("neighbourhood", "client"))
    rows = rows_of(Path("f"), pa.Table.from_pandas(frame, preserve_index=False), columns, "m", "")
    made, _ = with_estimators(
        create_reference(rows, name="training", version="", segments=columns.segments, source="", created=""), rows
    )
    weights = {"size": 0.5, "income": 0.3, "rooms": 0.1, "longitude": 0.05, "latitude": 0.05}
    return replace(made, importances=weights) if importances else made


class World:
    """One group of rules, evaluated hour by hour."""

    def __init__(self, rules: str = PRICES_OFF, *, normal: Reference | None = None, path: Path | None = None) -> None:
        self.reference = normal or reference()
        self.store = Store(path)
        self.windows = Windows(self.store, self.find, pane_ns=60 * SECOND)
        self.engine = Engine(
            self.windows,
            self.find,
            self.store.documents,
            self._count,
            count_condition,
            aggregate=aggregate,
            ground_truth_horizon_ns=1000 * HOUR,
        )
        self.group = parse_text(
            f"groups:\n  - name: g\n    model: m\n    interval: 1h\n    window: 1h\n    rules:\n{rules}"
        ).groups[0]
        keys = tuple(sorted({key for rule in self.group.rules for key in rule.segments}))
        self.windows.plan("m", Plan({"training": keys}), "plan", 0)
        self._number = 0

    def find(self, *_: str) -> Reference:
        return self.reference

    def _count(self, target: Any, start: int, end: int, low: float | None, high: float | None) -> int:
        return self.store.rows.count_outside(target, start, end, low, high)

    def send(self, frame: pd.DataFrame, hour: int, *, version: str = "v1", known: float = 1.0) -> None:
        """Send an hour's predictions with trace ids, and the ground truth of the first share `known` of them."""
        n = len(frame)
        ids = [f"p{self._number + i}" for i in range(n)]
        self._number += n
        times = [hour * HOUR + i * HOUR // n for i in range(n)]
        rows = frame.drop(columns=["price", "predicted"]).to_dict("records")
        batch = predictions(rows, frame["predicted"].tolist(), ids=ids, times=times, version=version)
        self.store.commit([replace(batch, trace_ids=pa.array([f"trace-{i}" for i in ids], pa.string()))], 0)
        self.windows.touch("m", np.array(times))
        told = round(known * n)
        if told:
            self.store.commit([ground_truth(ids[:told], frame["price"].tolist()[:told], times=times[:told])], 0)
            self.windows.touch_ground_truth("m")

    def changed(self, *events: tuple[str, str, int]) -> None:
        """Store a change event (kind, value, time)."""
        self.store.commit([ChangeBatch(tuple(ChangeEvent("m", k, v, t, f"{v} rolled out") for k, v, t in events))], 0)

    def tick(self, hour: int) -> dict[tuple[str, str, str], Alert]:
        """Verdicts by (rule, field, segment) after an hour."""
        end = (hour + 1) * HOUR
        self.windows.close("m", end)
        self.engine.tick([self.group], "m", end)
        return {(a.rule, a.target.field, a.target.segment): a for a in self.engine.alerts()}

    def explain(self, alert: Alert) -> dict[str, Any]:
        """As the pages and the API have it."""
        made = Explanations(self.store, self.engine, lambda: [self.group], self.find, self.windows)
        found = made.find(alert)
        assert found is not None
        return explanation_to_json(found)
