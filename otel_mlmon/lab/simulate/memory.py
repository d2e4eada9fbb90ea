"""Windows over rows in memory, measured by the code that measures panes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.values import Reference, RowBlock, Target, Texts, WindowProfile
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.window.broken import broken_rows
from otel_mlmon.window.measure import measure
from otel_mlmon.wire.semconv import FIELD_PREDICTION

ReferenceFor = Callable[[str, str, str], Reference | None]


class MemoryWindows:
    """The engine's source of windows over a model's history in memory, sorted by time."""

    def __init__(self, rows: RowBlock, reference_for: ReferenceFor, pane_ns: int) -> None:
        """Sort `rows` by time. `pane_ns`: step in which ground truth becomes known."""
        self.history = take(rows, np.argsort(rows.times, kind="stable"))
        self._reference_for = reference_for
        self.pane_ns = pane_ns
        self._cached_broken: dict[str, npt.NDArray[np.bool_]] = {}  # by reference
        self._cached_query: object = None
        self._cached_profiles: list[WindowProfile] = []

    def rows(self, query: RowQuery) -> RowBlock | None:
        """Return predictions of one range with a text column for each segment key, with all fields and without ids."""
        if query.model != self.history.model:
            return None
        ((start, end),) = query.ranges
        block = self._between(start, end)
        if query.known_by is not None:
            block = replace(block, truth_known=block.truth_known & self._known(block, query.known_by))
        return replace(block, segments={key: _segment(block, key) for key in query.segments})

    def window(self, query: WindowQuery) -> list[WindowProfile]:
        """Return the profiles of each version, whole and per segment value, of all fields: `selects` is ignored."""
        key = replace(query, segments=tuple(query.segments), selects=None)
        if key != self._cached_query:  # groups with one window ask for the same
            self._cached_query, self._cached_profiles = key, self._window(key)
        return self._cached_profiles

    def windows(self, query: WindowQuery, starts: Sequence[int]) -> dict[int, list[WindowProfile]]:
        """Return several windows of one width by start, without their fields."""
        query = replace(query, fields=False)
        return {start: self.window(query.at(start)) for start in starts}

    def _window(self, query: WindowQuery) -> list[WindowProfile]:
        block = self.rows(RowQuery(query.model, [(query.start, query.end)], query.segments, query.known_by))
        if block is None or not len(block):
            return []
        references = {v: self._reference_for(query.model, v, query.reference) for v in block.versions.labels}
        if query.fields:
            return measure(block, references, query.segments, query.start, query.end)
        broken = self._broken(query.reference)[self._slice(query.start, query.end)]
        block = replace(block, fields={n: c for n, c in block.fields.items() if n == FIELD_PREDICTION})
        profiles = measure(block, references, query.segments, query.start, query.end)
        return [replace(p, broken_rows=int(broken[_of(block, p.version, p.segment)].sum())) for p in profiles]

    def _broken(self, reference: str) -> npt.NDArray[np.bool_]:
        """Mark the rows of the history with a broken feature."""
        if reference not in self._cached_broken:
            broken = np.zeros(len(self.history), dtype=bool)
            for code, version in enumerate(self.history.versions.labels):
                expected = self._reference_for(self.history.model, version, reference)
                broken |= broken_rows(self.history, expected) & (self.history.versions.codes == code)
            self._cached_broken[reference] = broken
        return self._cached_broken[reference]

    def _slice(self, start: int, end: int) -> slice:
        first, last = np.searchsorted(self.history.times, (start, end))
        return slice(int(first), int(last))

    def _between(self, start: int, end: int) -> RowBlock:
        return _select(self.history, self._slice(start, end))

    def totals(self, query: WindowQuery) -> pa.Table:
        """Count rows and known ground truths of each pane, in the store's columns."""
        block = self._between(query.start, query.end)
        has_truth = block.truth_known & self._known(block, query.known_by)
        width = max(len(block.versions.labels), 1)
        keys = block.times // self.pane_ns * width + block.versions.codes
        pane_keys, index, counts = np.unique(keys, return_inverse=True, return_counts=True)
        truths = np.bincount(index.reshape(-1), weights=has_truth, minlength=len(pane_keys))
        return pa.table(
            {
                "version": pa.array([block.versions.labels[int(k % width)] for k in pane_keys], pa.string()),
                "pane": pa.array((pane_keys // width) * self.pane_ns, pa.int64()),
                "rows": pa.array(counts, pa.int64()),
                "truth": pa.array(truths, pa.float64()),
            }
        )

    def known(self, query: WindowQuery, step: int) -> pa.Table:
        """Count ground truths by the time at which they became known, in the store's columns."""
        block = self._between(query.start, query.end)
        has_truth = block.truth_known & self._known(block, query.known_by)
        ends = (block.truth_times[has_truth] // self.pane_ns + 1) * self.pane_ns
        return (
            pa.table(
                {
                    "version": pa.array(
                        [block.versions.labels[c] for c in block.versions.codes[has_truth]], pa.string()
                    ),
                    "at": pa.array(block.times[has_truth] // step * step, pa.int64()),
                    "known": pa.array((ends - 1) // step * step, pa.int64()),
                    "n": pa.array(np.ones(int(has_truth.sum()))),
                }
            )
            .group_by(["version", "at", "known"])
            .aggregate([("n", "sum")])
            .rename_columns(["version", "at", "known", "n"])
        )

    def _known(self, block: RowBlock, known_by: int | None) -> npt.NDArray[np.bool_]:
        if known_by is None:
            return np.ones(len(block), dtype=bool)
        by: npt.NDArray[np.bool_] = (block.truth_times // self.pane_ns + 1) * self.pane_ns <= known_by
        return by

    def count_outside(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int:
        """Count the finite numbers of the target's field outside [low, high]."""
        key = target.segment.partition("=")[0]
        block = self.rows(RowQuery(target.model, [(start, end)], [key] if key else []))
        if block is None or target.field not in block.fields or target.version not in block.versions.labels:
            return 0
        numbers = block.fields[target.field].numbers
        if numbers is None:
            return 0
        x = numbers[_of(block, target.version, target.segment)]
        x = x[np.isfinite(x)]
        return int(((x < (-np.inf if low is None else low)) | (x > (np.inf if high is None else high))).sum())


def _of(block: RowBlock, version: str, segment: str) -> npt.NDArray[np.bool_]:
    """Mark the rows of a version, and of a segment key=value unless it is ""."""
    mask: npt.NDArray[np.bool_] = block.versions.codes == block.versions.labels.index(version)
    key, _, value = segment.partition("=")
    if key:
        texts = block.segments[key]
        mask &= texts.codes == (texts.labels.index(value) if value in texts.labels else -2)
    return mask


def _segment(block: RowBlock, key: str) -> Texts:
    """Return the values of a segment key: stated values, or else the values of the feature of that name."""
    if key in block.segments:
        return block.segments[key]
    cells = block.fields.get(key)
    if cells is None or cells.texts is None:
        return Texts(np.full(len(block), -1, np.int32), [])
    return cells.texts


def cut(rows: RowBlock, first: int, last: int) -> RowBlock:
    """Return the rows from first to last (exclusive)."""
    return _select(rows, slice(first, last))


def take(rows: RowBlock, index: npt.NDArray[np.int64]) -> RowBlock:
    """Return the rows at these indices, in this order; an index may be repeated."""
    return _select(rows, index)


def _select(rows: RowBlock, which: slice | npt.NDArray[np.int64]) -> RowBlock:
    return RowBlock(
        model=rows.model,
        times=rows.times[which],
        versions=rows.versions.take(which),
        lost=rows.lost[which],
        durations=rows.durations[which],
        fields={name: cells.take(which) for name, cells in rows.fields.items()},
        segments={key: texts.take(which) for key, texts in rows.segments.items()},
        truth_known=rows.truth_known[which],
        truth_times=rows.truth_times[which],
        truth_numbers=rows.truth_numbers[which],
        truth_texts=rows.truth_texts.take(which),
    )
