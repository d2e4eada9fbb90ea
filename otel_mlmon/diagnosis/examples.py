"""Ten predictions to look at, with their trace ids: the worst rows of the worst slices first.

For a model and its shadow they are the predictions that differ most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from otel_mlmon.checks.parity import pairs
from otel_mlmon.diagnosis.ground_truth import CHECKS
from otel_mlmon.diagnosis.subject import Subject, WindowSample
from otel_mlmon.diagnosis.where import Located
from otel_mlmon.rulefile import ParityRule
from otel_mlmon.values import Target
from otel_mlmon.values.explanation import Examples

MOST: Final = 10
_AT_ONCE: Final = 500  # predictions with one timestamp (one batch) that are searched for an id


# (target, start, end, limit) → stored predictions in [start, end): prediction_id, time, trace_id, prediction,
# ground_truth, and the value of the target's field.
ReadExamples = Callable[[Target, int, int, int], list[dict[str, Any]]]


def examples(subject: Subject, sample: WindowSample | None, located: Located | None, read: ReadExamples) -> Examples:
    """Return the worst rows of the slices of `located`.

    Without slices they are the worst rows of the window for a check that needs ground truth, else the store's choice.
    """
    target = subject.alert.target
    if sample is None or sample.block.ids is None:
        return _stored(subject, read)
    if isinstance(subject.rule, ParityRule):
        return Examples(tuple(_disagreeing(subject.rule, sample, target, read)))
    losses, slices = (located.losses, located.slices) if located else (None, ())
    if losses is not None and not slices and subject.alert.check in CHECKS:
        slices = (("", losses.rows),)
    if losses is None or not slices:
        return _stored(subject, read)
    loss = np.full(len(sample.block), -np.inf)
    loss[losses.rows] = losses.losses
    chosen: list[Mapping[str, Any]] = []
    seen: set[int] = set()
    for place, (name, rows) in enumerate(slices):
        # A slice takes half of the free places, so that the later slices have examples too.
        free = MOST - len(chosen)
        places = max(free if place == len(slices) - 1 else -(-free // 2), 1)
        worst = [row for row in rows[np.argsort(-loss[rows], kind="stable")].tolist() if row not in seen][:places]
        seen.update(worst)
        for row in worst:
            example = _example(sample, row, target, read)
            chosen += [{**example, "slice": name}] if example else []
    return Examples(tuple(chosen))


def _stored(subject: Subject, read: ReadExamples) -> Examples:
    rows = read(subject.alert.target, subject.start, subject.end, MOST)
    return Examples(tuple({**row, "slice": ""} for row in rows))


def _disagreeing(rule: ParityRule, sample: WindowSample, target: Target, read: ReadExamples) -> list[dict[str, Any]]:
    both = pairs(sample.block, sample.rows, rule.tolerance)
    difference = np.where(both.apart, np.nan_to_num(np.abs(both.predictions - both.shadows)), -1.0)
    worst = [place for place in np.argsort(-difference, kind="stable").tolist() if both.apart[place]][:MOST]
    rows = ((_example(sample, int(both.rows[place]), target, read), both.values(place)[1]) for place in worst)
    return [{**example, "slice": "", "shadow": shadow} for example, shadow in rows if example]


def _example(sample: WindowSample, row: int, target: Target, read: ReadExamples) -> dict[str, Any] | None:
    """Read a row of the block from the store, with its trace id."""
    assert sample.block.ids is not None
    time, id_ = int(sample.block.times[row]), sample.block.ids[row].as_py()
    stored = read(target, time, time + 1, _AT_ONCE)
    return next(({**example, "slice": ""} for example in stored if example["prediction_id"] == id_), None)
