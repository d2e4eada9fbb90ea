"""What became of the ground truth, for metrics and people: counted now and then, and never silent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from otel_mlmon.values import Point
from otel_mlmon.values.storage import Storage
from otel_mlmon.wire import semconv

LEAST_S: Final = 2.0  # between two looks at what was committed,
SHARE: Final = 0.02  # which take no more than this share of the time
WAITING: Final = "waiting"


class GroundTruthAccounts:
    """`settle` is called again and again by one thread; the rest by any."""

    def __init__(self, store: Storage) -> None:
        self._store = store
        self._due = 0.0

    def settle(self) -> None:
        """Look at what was committed since the last time, unless that was a moment ago."""
        started = monotonic()
        if started >= self._due:
            self._due = started + LEAST_S  # also if it fails
            self._store.ground_truth.settle(self._store.seq())
            ended = monotonic()
            self._due = ended + max(LEAST_S, (ended - started) / SHARE)

    def metrics(self) -> list[tuple[semconv.MetricName, Sequence[Point]]]:
        """Counters since the store was made, and how many wait now."""
        rows, waiting = [], []
        for model, outcomes in sorted(self._store.ground_truth.results().items()):
            about = {semconv.MODEL_NAME: model}
            waiting.append(Point(about, outcomes[WAITING]))
            rows += [Point({**about, semconv.OUTCOME: o}, n) for o, n in outcomes.items() if o != WAITING]
        return [(semconv.GROUND_TRUTH_ROWS, rows), (semconv.GROUND_TRUTH_WAITING, waiting)]

    def notes(self) -> list[str]:
        """What a person should know."""
        known = set(self._store.rows.models())
        notes = []
        for model, outcomes in sorted(self._store.ground_truth.results().items()):
            if model not in known:
                notes.append(f"model {model!r} has ground truth and no predictions: is it another model's?")
            elif outcomes["wrong_type"]:
                notes.append(_wrong_type(model, outcomes))
        return notes


def _wrong_type(model: str, outcomes: Mapping[str, int]) -> str:
    return (
        f"{outcomes['wrong_type']} ground truths of model {model!r} cannot be compared with its predictions: "
        "numbers are needed where it predicts numbers, and names of classes where it predicts classes"
    )
