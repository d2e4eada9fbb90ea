"""Run the processor's engine over a history in memory: every tick of every group, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from otel_mlmon.engine.tick import Engine
from otel_mlmon.lab.simulate.memory import MemoryWindows
from otel_mlmon.rulefile import Group
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Alert, Reference, RowBlock

MINUTE = 60_000_000_000
_HORIZON = 60 * 86_400_000_000_000


class MemoryStore:
    """A store for the engine that keeps nothing after the run: the engine has documents and estimates in memory."""

    def put(self, *_: object, **__: object) -> None:
        """Keep nothing."""

    record_tick = append_estimates = score_estimates = put

    def read(self, kind: str) -> dict[str, Any]:
        """Return nothing: there is no earlier run."""
        return {}

    def estimates(self, *_: object) -> list[Any]:
        """Return nothing: there is no earlier run."""
        return []

    last_revisions = estimates


@dataclass(frozen=True, slots=True)
class Tick:
    """One evaluation of the groups that are due.

    `changed`: alerts with a new phase. `alerts` returns all alerts after this tick.
    """

    time: int
    groups: Sequence[str]
    changed: Sequence[Alert]
    alerts: Callable[[], Sequence[Alert]]


def simulate(
    groups: Sequence[Group],
    rows: RowBlock,
    references: Iterable[Reference],
    *,
    pane_ns: int = MINUTE,
    start: int | None = None,
    end: int | None = None,
) -> Iterator[Tick]:
    """Evaluate `groups` over the history of one model, tick by tick.

    The ticks are the processor's: multiples of each group's interval after `start` (ns; default: the first row) up to
    `end` (ns; default: the first tick after the last row).
    """
    by_version = {(r.version, r.name): r for r in references if r.model == rows.model}

    def reference_for(model: str, version: str, name: str) -> Reference | None:
        return by_version.get((version, name)) or by_version.get(("", name))

    windows = MemoryWindows(rows, reference_for, pane_ns)
    engine = Engine(
        windows,
        reference_for,
        MemoryStore(),
        windows.count_outside,
        count_condition,
        aggregate=aggregate,
        ground_truth_horizon_ns=_HORIZON,
    )
    for time, together in groupby(ticks(groups, rows, start, end), key=lambda tick: tick[0]):
        due = [group for _, group in together]
        yield Tick(time, [group.name for group in due], engine.tick(due, rows.model, time), engine.alerts)


def ticks(groups: Sequence[Group], rows: RowBlock, start: int | None, end: int | None) -> list[tuple[int, Group]]:
    """List the evaluations of each group in order of time; at the same time, in the order of the rule files."""
    if not len(rows):
        return []
    first = int(np.min(rows.times)) if start is None else start
    evaluations: list[tuple[int, Group]] = []
    for group in groups:
        if group.covers(rows.model):
            step = group.interval
            last = (int(np.max(rows.times)) // step + 1) * step if end is None else end
            evaluations.extend((time, group) for time in range((first // step + 1) * step, last + 1, step))
    return sorted(evaluations, key=lambda tick: tick[0])
