"""What a check of the model's outcomes looks at: the newest window of which enough ground truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otel_mlmon.evaluate.rows import WindowRows
from otel_mlmon.values import Reference, WindowProfile

# (start, end) → what was known by the tick of that stretch of time, by segment
Between = Callable[[int, int], Mapping[str, WindowProfile]]


@dataclass(frozen=True, slots=True)
class OutcomeCase:
    """One model version in [start, end), as it is known at `time`. `windows` is by segment, "" being the whole.

    `rows` are the predictions of the window, with the ground truth that is known by `time`.
    """

    model: str
    version: str
    start: int
    end: int
    time: int
    windows: Mapping[str, WindowProfile]
    reference: Reference | None
    rows: WindowRows
    between: Between
