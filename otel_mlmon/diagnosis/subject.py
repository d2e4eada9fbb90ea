"""The subject of an explanation: an alert with its rule and reference, and a sample of its window's predictions."""

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
_SLOTS: Final = 400  # of a window with far more rows than MOST_ROWS
_MARGIN: Final = 1.3  # rows are not spread evenly over the slots

Rows = npt.NDArray[np.int64]
ReadRows = Callable[[RowQuery], RowBlock | None]


class Unknown(Exception):
    """A part cannot be determined; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class Subject:
    """`start` and `end` are the window that fired, or the last one judged.

    `rule`, `group` and `reference` are None if they no longer exist. `segments` are all known segment keys. Ground
    truth counts if it was known at the time `known_by` (None: all). `predictions` is the rough size of the window, 0
    if unknown.
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

    @property
    def segment_key(self) -> str:
        """The key of the alert's segment; "" for an alert on all segments."""
        return self.alert.target.segment.partition("=")[0]


@dataclass(frozen=True, slots=True)
class WindowSample:
    """At most MOST_ROWS of the `window_rows` predictions of the alert's version and segment.

    `rows` are places in `block`. `known` are rows with ground truth, drawn separately, since they may be few.
    """

    block: RowBlock
    rows: Rows
    known: Rows
    window_rows: int


def read(subject: Subject, rows: ReadRows, seed: int) -> WindowSample:
    """Read a sample of the window. Raises Unknown when it has no predictions."""
    target, key = subject.alert.target, subject.segment_key
    keys = sorted({*subject.segments, *([key] if key else [])})
    ranges = sample_ranges(subject.start, subject.end, subject.predictions, seed)
    block = rows(RowQuery(target.model, ranges, keys, subject.known_by, with_ids=True))
    if block is None:
        raise Unknown("no prediction of the window is stored")
    _, selected = WindowRows(lambda _: block).select(target.version, target.segment)
    if not len(selected):
        raise Unknown("no prediction of the window is stored (any more)")
    rng = np.random.default_rng(seed)
    known = selected[block.truth_known[selected]]
    return WindowSample(block, _drawn(selected, rng), _drawn(known, rng), len(selected))


def sample_ranges(start: int, end: int, predictions: int, seed: int) -> list[tuple[int, int]]:
    """Return the whole window, or randomly drawn slots of a window with far too many predictions."""
    share = _MARGIN * MOST_ROWS / predictions if predictions else 1.0
    if share > 1 / 2 or end - start < _SLOTS:
        return [(start, end)]
    edges = np.linspace(0, end - start, _SLOTS + 1).astype(np.int64).tolist()
    wanted = max(1, round(share * _SLOTS))
    slots = sorted(np.random.default_rng(seed).choice(_SLOTS, wanted, replace=False).tolist())
    return [(start + edges[slot], start + edges[slot + 1]) for slot in slots]


def _drawn(rows: Rows, rng: np.random.Generator) -> Rows:
    return rows if len(rows) <= MOST_ROWS else np.sort(rng.choice(rows, MOST_ROWS, replace=False))
