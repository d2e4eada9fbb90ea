"""What an explanation is about: an alert, what is known of its rule and of normal, and the predictions of the window in question."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.checks.context import WindowRows
from otel_mlmon.rulefile import Group, Rule
from otel_mlmon.values import Alert, Reference, RowBlock
from otel_mlmon.values.query import RowQuery

MOST_ROWS: Final = 50_000
_SLOTS: Final = 400  # into which a window is cut that has far more rows than are looked at
_MARGIN: Final = 1.3  # rows are not evenly spread over the slots

Rows = npt.NDArray[np.int64]


class Unknown(Exception):
    """Something that cannot be found out, and why, in words for people."""


ReadRows = Callable[[RowQuery], RowBlock | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """`start` and `end` are the window that fired, or the last one judged; `known_by` is the time whose ground truth counts (None:
    all); `predictions` is about how many the window has, 0 where nobody knows.

    `rule` and `group` are None when they are gone, `reference` when there is none. `segments` are all keys that are known.
    """

    alert: Alert
    rule: Rule | None
    group: Group | None
    reference: Reference | None
    start: int
    end: int
    segments: tuple[str, ...] = ()
    known_by: int | None = None
    predictions: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The predictions looked at. `rows` are places in `block`, at most MOST_ROWS of the `window_rows` that were read of the alert's
    version and segment; `known` are those with ground truth, drawn apart, so that few of them are not lost among many.
    """

    block: RowBlock
    rows: Rows
    known: Rows
    window_rows: int


def read(subject: Subject, rows: ReadRows, seed: int) -> Evidence:
    """The window's predictions. Raises Unknown when there are none."""
    target = subject.alert.target
    key = target.segment.partition("=")[0]
    keys = sorted({*subject.segments, *([key] if key else [])})
    ranges = sample_ranges(subject.start, subject.end, subject.predictions, seed)
    block = rows(RowQuery(target.model, ranges, keys, subject.known_by, with_ids=True))
    if block is None:
        raise Unknown("no prediction of the window is stored")
    _, mine = WindowRows(lambda _: block).select(target.version, target.segment)
    if not len(mine):
        raise Unknown("no prediction of the window is stored (any more)")
    rng = np.random.default_rng(seed)
    known = mine[block.truth_known[mine]]
    return Evidence(block, _drawn(mine, rng), _drawn(known, rng), len(mine))


def sample_ranges(start: int, end: int, predictions: int, seed: int) -> list[tuple[int, int]]:
    """The whole window, or where it has far too many predictions some slots of it, drawn at random."""
    share = _MARGIN * MOST_ROWS / predictions if predictions else 1.0
    if share > 1 / 2 or end - start < _SLOTS:
        return [(start, end)]
    edges = np.linspace(0, end - start, _SLOTS + 1).astype(np.int64).tolist()
    wanted = max(1, round(share * _SLOTS))
    slots = sorted(np.random.default_rng(seed).choice(_SLOTS, wanted, replace=False).tolist())
    return [(start + edges[slot], start + edges[slot + 1]) for slot in slots]


def _drawn(rows: Rows, rng: np.random.Generator) -> Rows:
    return rows if len(rows) <= MOST_ROWS else np.sort(rng.choice(rows, MOST_ROWS, replace=False))
