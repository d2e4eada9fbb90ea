"""What a check of the model's outcomes looks at: the newest window of which enough ground truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otel_mlmon.checks.rows import WindowRows
from otel_mlmon.stats.inference.design_effect import metric_design_effects, sampled_design_effect, window_design_effect
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

    def effect(self, segment: str, method: str) -> tuple[float, float]:
        """How many rows, whose outcome is known, are worth one independent row in a metric: of the window, and of the reference."""
        return effects(self.reference, self.windows, segment, method)


def effects(
    reference: Reference | None, windows: Mapping[str, WindowProfile], segment: str, method: str
) -> tuple[float, float]:
    """Of a segment ("" the whole) of these windows, by what the reference measured of its own rows. A segment of which it measured
    nothing is taken for a random part of the whole.
    """
    if reference is None or segment not in windows:
        return 1.0, 1.0
    part = reference.segments.get(segment)
    own = metric_design_effects(method, part.outcome_effects) if part is not None else {}
    measured = own or metric_design_effects(method, reference.outcome_effects)
    among = windows[segment if own or "" not in windows else ""].performance.predictions
    counts = windows[segment].performance
    known = reference.performance if part is None else part.performance
    window = window_design_effect(method, sampled_design_effect(measured, counts.with_truth, among), counts, known)
    rows = known.with_truth if known is not None else 0
    return window, sampled_design_effect(measured, rows, rows if own else max(rows, reference.rows))
