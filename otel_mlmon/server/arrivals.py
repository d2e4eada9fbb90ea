"""After a commit: which windows have new rows, how far each model's clock is, and how many rows were late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.values import Batch, ChangeBatch, PredictionBatch
from otel_mlmon.window import Windows
from otel_mlmon.wire import semconv


@dataclass(eq=False)
class Arrivals:
    """Tells windows and clocks about committed batches.

    `closed`: end of the last closed window by model, ns. Rows beyond `ahead_ns` in the future move no clock.
    """

    windows: Windows
    clocks: ModelClocks
    counters: Counters
    closed: Mapping[str, int]
    wake: Callable[[], None]
    ahead_ns: int

    def committed(self, batches: Sequence[Batch], received: int) -> None:
        """Take note of batches that were received at `received`, ns."""
        arrived: list[tuple[str, npt.NDArray[np.int64]]] = []
        for batch in batches:
            if isinstance(batch, ChangeBatch):
                continue
            times = np.asarray(batch.times.to_numpy(zero_copy_only=False), dtype=np.int64)
            ahead = times > received + self.ahead_ns
            if isinstance(batch, PredictionBatch):
                self.windows.touch(batch.model, times)
                about = {semconv.MODEL_NAME: batch.model}
                self.counters.add(
                    (semconv.INGEST_LATE, int((times < self.closed.get(batch.model, 0)).sum()), about),
                    (semconv.INGEST_FUTURE, int(ahead.sum()), about),
                )
            else:
                self.windows.touch_ground_truth(batch.model)
            arrived.append((batch.model, times[~ahead]))
        # Clocks move last: they close windows, and these must know of all rows by then.
        for model, times in arrived:
            if len(times):
                self.clocks.observe(model, int(times.max()), received)
        self.wake()
