"""Ground-truth rows by result (joined, expired …), as metrics and notes."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Final

from otel_mlmon.values import Point
from otel_mlmon.values.storage import Storage
from otel_mlmon.wire import semconv

LEAST_S: Final = 2.0  # between two counts
SHARE: Final = 0.02  # of the time, at most, goes into counting
WAITING: Final = "waiting"


class GroundTruthAccounts:
    """One thread calls `settle` again and again; any thread may call the other methods."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._due = 0.0

    def settle(self) -> None:
        """Count the rows committed since the last count, unless that was a moment ago."""
        started = monotonic()
        if started >= self._due:
            self._due = started + LEAST_S  # also if it fails
            self._store.ground_truth.settle(self._store.seq())
            ended = monotonic()
            self._due = ended + max(LEAST_S, (ended - started) / SHARE)

    def metrics(self) -> list[tuple[semconv.MetricName, Sequence[Point]]]:
        """Return the counters since the store was made, and the rows that wait now."""
        rows, waiting = [], []
        for model, outcomes in sorted(self._store.ground_truth.results().items()):
            about = {semconv.MODEL_NAME: model}
            waiting.append(Point(about, outcomes[WAITING]))
            rows += [Point({**about, semconv.OUTCOME: o}, n) for o, n in outcomes.items() if o != WAITING]
        return [(semconv.GROUND_TRUTH_ROWS, rows), (semconv.GROUND_TRUTH_WAITING, waiting)]

    def notes(self) -> list[str]:
        """Return sentences about problems that a person should solve."""
        known = set(self._store.rows.models())
        notes = []
        for model, outcomes in sorted(self._store.ground_truth.results().items()):
            if model not in known:
                notes.append(f"model {model!r} has ground truth and no predictions: is it another model's?")
            elif outcomes["wrong_type"]:
                notes.append(
                    f"{outcomes['wrong_type']} ground truths of model {model!r} cannot be compared with its "
                    "predictions: numbers are needed where it predicts numbers, and names of classes where it "
                    "predicts classes"
                )
        return notes
