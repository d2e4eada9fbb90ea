"""Ten predictions to look at, with their trace ids: those of the worst slice first, and in it those that are worst.

Of a model and its shadow they are those where the two differ most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from otel_mlmon.checks.parity import pairs
from otel_mlmon.diagnosis.losses import Losses
from otel_mlmon.diagnosis.outcomes import CHECKS
from otel_mlmon.diagnosis.subject import Evidence, Rows, Subject
from otel_mlmon.rulefile import ParityRule
from otel_mlmon.values import Target
from otel_mlmon.values.explanation import Examples

MOST: Final = 10
_AT_ONCE: Final = 500  # predictions of one nanosecond (of one batch) that are searched for an id


# (target, start, end, limit) → stored predictions in [start, end): prediction_id, time, trace_id, value (of the target's field),
# prediction, ground_truth.
ReadExamples = Callable[[Target, int, int, int], list[dict[str, Any]]]


def examples(
    subject: Subject,
    evidence: Evidence | None,
    losses: Losses | None,
    slices: Sequence[tuple[str, Rows]],
    read: ReadExamples,
) -> Examples:
    """`slices` are names and rows (places in the block), the worst first. Without any, the worst of the whole window
    where the alert is about outcomes, else those that the store thinks are telling.
    """
    target = subject.alert.target
    if evidence is not None and evidence.block.ids is not None and isinstance(subject.rule, ParityRule):
        return Examples(tuple(_apart(subject.rule, evidence, target, read)))
    if losses is not None and not slices and subject.alert.check in CHECKS:
        slices = [("", losses.rows)]
    if evidence is None or evidence.block.ids is None or losses is None or not slices:
        return Examples(tuple(_plain(read, target, subject.start, subject.end, MOST)))
    loss = np.full(len(evidence.block), -np.inf)
    loss[losses.rows] = losses.losses
    found: list[Mapping[str, Any]] = []
    seen: set[int] = set()
    for place, (name, rows) in enumerate(slices):
        # Half of what is left, so that the slices that are still to come are seen, too.
        left = MOST - len(found)
        room = left if place == len(slices) - 1 else -(-left // 2)
        worst = [row for row in rows[np.argsort(-loss[rows], kind="stable")].tolist() if row not in seen][
            : max(room, 1)
        ]
        seen.update(worst)
        for row in worst:
            one = _one(evidence, row, target, read)
            found += [{**one, "slice": name}] if one else []
    return Examples(tuple(found))


def _plain(read: ReadExamples, target: Target, start: int, end: int, limit: int) -> list[dict[str, Any]]:
    rows = read(target, start, end, limit)
    return [{**row, "slice": ""} for row in rows]


def _apart(rule: ParityRule, evidence: Evidence, target: Target, read: ReadExamples) -> list[dict[str, Any]]:
    both = pairs(evidence.block, evidence.rows, rule.tolerance)
    far = np.where(both.apart, np.nan_to_num(np.abs(both.predictions - both.shadows)), -1.0)
    worst = [place for place in np.argsort(-far, kind="stable").tolist() if both.apart[place]][:MOST]
    found = ((_one(evidence, int(both.rows[place]), target, read), both.values(place)[1]) for place in worst)
    return [{**one, "slice": "", "shadow": shadow} for one, shadow in found if one]


def _one(evidence: Evidence, row: int, target: Target, read: ReadExamples) -> dict[str, Any] | None:
    """A row of the block as the store knows it, trace id and all."""
    assert evidence.block.ids is not None
    time, id_ = int(evidence.block.times[row]), evidence.block.ids[row].as_py()
    there = _plain(read, target, time, time + 1, _AT_ONCE)
    return next((one for one in there if one["prediction_id"] == id_), None)
