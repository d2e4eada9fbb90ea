"""Sources that are run by hand, over a real store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from batches import SECOND

from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.pipeline import Pipeline
from otel_mlmon.server.config import GroundTruthSource
from otel_mlmon.server.ground_truth_sources import GroundTruthSources, query_of
from otel_mlmon.store import Store
from otel_mlmon.values import Decoded

NOW = 1_800_000_000 * SECOND


class Fetcher:
    """Sources as the service makes them; `run` fetches all once and returns the status of each."""

    def __init__(self, store: Store, *sources: GroundTruthSource) -> None:
        self.counters = Counters()
        self.pipeline = Pipeline(
            store.commit,
            lambda *_: Decoded(),
            lambda batches, received: None,
            self.counters,
            lambda: NOW,
            max_queue_rows=10**6,
        )
        self.pairs = [(source, query_of(source)) for source in sources]
        self.made = GroundTruthSources(self.pairs, self.pipeline.store, store.documents, self.counters, lambda: NOW)

    def run(self) -> list[dict[str, Any]]:
        for run in self.made.runs:
            self.made.fetch(*run)
        return self.made.status()


Fetch = Callable[..., Fetcher]


def wait(done: Callable[[], object], deadline_s: float = 30.0) -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)
