"""Predictions in data frames, sent to a real store and judged by the engine: for tests of rules about outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from otel_mlmon.engine.tick import Engine
from otel_mlmon.rulefile import parse_text
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Alert, FieldColumn, GroundTruthBatch, PredictionBatch, Reference
from otel_mlmon.window import Plan, Windows
from otel_mlmon.wire.semconv import FIELD_PREDICTION, score_field

HOUR = 3600 * 10**9
DAY = 24 * HOUR
_META = ("time", "delay", "truth", "prediction", "id")


class World:
    """A store, its windows and an engine with one group of rules.

    Frames have columns `time`, `prediction`, features, and may have
    `id`, `truth`, `delay` (ns) and `score <class>`.
    """

    def __init__(
        self,
        rules: str,
        *,
        head: str = "",
        window: str = "1d",
        interval: str = "1d",
        reference: Reference | None = None,
        path: Path | None = None,
        pane: int = HOUR,
        horizon: int = 60 * DAY,
    ) -> None:
        text = "".join(f"      - {line.strip()}\n" for line in rules.strip().splitlines())
        body = f"groups:\n  - name: g\n    model: m\n    interval: {interval}\n    window: {window}\n"
        body += f"{head}    rules:\n{text}"
        self.group = parse_text(body).groups[0]
        self.reference, self.path, self.pane, self.horizon = reference, path, pane, horizon
        self.sent = 0
        self.open()

    def open(self) -> None:
        """Open the store, as a start does."""
        self.store = Store(self.path)
        self.windows = Windows(self.store, lambda *_: self.reference, pane_ns=self.pane)
        self.engine = Engine(
            self.windows,
            lambda *_: self.reference,
            self.store.documents,
            lambda *_: 0,
            count_condition,
            aggregate=aggregate,
            ground_truth_horizon_ns=self.horizon,
        )
        keys = tuple(sorted({key for rule in self.group.rules for key in rule.segments}))
        self.windows.plan("m", Plan({"training": keys}), "plan", 0)

    def restart(self) -> None:
        """Close and open again."""
        self.store.close()
        self.open()

    def predict(self, frame: pd.DataFrame, version: str = "1") -> pd.DataFrame:
        """Send predictions; returns the frame with their ids."""
        n = len(frame)
        if "id" not in frame:
            frame = frame.assign(id=[f"id-{self.sent + i}" for i in range(n)])
        self.sent += n
        names = [c for c in frame.columns if c not in _META and not c.startswith("score ")]
        fields = {name: FieldColumn(pa.array(frame[name].tolist(), from_pandas=True)) for name in names}
        fields[FIELD_PREDICTION] = FieldColumn(pa.array(frame["prediction"].tolist()))
        for name in [c for c in frame.columns if c.startswith("score ")]:
            fields[score_field(name.removeprefix("score "))] = FieldColumn(pa.array(frame[name].tolist()))
        none = pa.nulls(n, pa.string())
        batch = PredictionBatch(
            "m",
            version,
            pa.array(frame["id"].tolist(), pa.string()),
            pa.array(frame["time"].to_numpy(np.int64)),
            fields,
            {},
            pa.nulls(n, pa.float64()),
            none,
            none,
            none,
            pa.array(np.zeros(n, np.int32)),
        )
        self.store.commit([batch], 0)
        self.windows.touch("m", frame["time"].to_numpy(np.int64))
        return frame

    def tell(self, frame: pd.DataFrame) -> None:
        """Send the ground truth of these rows."""
        ids, times = pa.array(frame["id"].tolist(), pa.string()), (frame["time"] + frame["delay"]).to_numpy(np.int64)
        self.store.commit(
            [GroundTruthBatch("m", ids, pa.array(times), FieldColumn(pa.array(frame["truth"].tolist())))], 0
        )
        self.windows.touch_ground_truth("m")

    def send(self, frame: pd.DataFrame, version: str = "1") -> pd.DataFrame:
        """Predictions and their ground truth, which is known as late as its delay says."""
        frame = self.predict(frame, version)
        self.tell(frame)
        return frame

    def tick(self, time: int) -> dict[tuple[str, str], Alert]:
        """Evaluate; alerts by (rule, segment), those of the only version."""
        self.windows.close("m", time)
        self.engine.tick([self.group], "m", time)
        return {(a.rule, a.target.segment): a for a in self.engine.alerts()}


def spread(n: int, start: int, end: int) -> np.ndarray[Any, Any]:
    """n times, evenly from `start` to `end` (ns)."""
    return np.linspace(start, end - 1, n).astype(np.int64)


def firing(found: dict[tuple[str, str], Alert]) -> set[tuple[str, str]]:
    """Return (rule, segment) of each firing alert."""
    return {key for key, alert in found.items() if alert.state.phase == "firing"}
