"""The newest window of which enough ground truth is known: what performance rules judge.

Ground truth comes late, so the window that ends now has none. Performance is judged on the youngest window that is
ripe, and judged again when more of it becomes known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.evaluate.performance import enough
from otel_mlmon.evaluate.verdicts import by_version
from otel_mlmon.rulefile import Group, PerformanceRule
from otel_mlmon.values import RowBlock, WindowProfile


class WindowSource(Protocol):
    """Where windows come from."""

    pane_ns: int

    def window(
        self, model: str, reference: str, start: int, end: int, segments: Sequence[str], known_by: int, *, fields: bool
    ) -> list[WindowProfile]: ...
    def rows(self, model: str, start: int, end: int, segments: Sequence[str]) -> RowBlock | None: ...
    def totals(self, model: str, reference: str, start: int, end: int, known_by: int) -> pa.Table: ...


@dataclass(frozen=True, slots=True)
class _Upto:
    """Running sums over a version's panes: how many predictions, and how many of them with ground truth."""

    panes: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float64]
    truth: npt.NDArray[np.float64]

    def before(
        self, ends: npt.NDArray[np.int64], window: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Predictions, and ground truths, in the window that ends at each time."""
        first, last = np.searchsorted(self.panes, ends - window), np.searchsorted(self.panes, ends)
        return self.rows[last] - self.rows[first], self.truth[last] - self.truth[first]


class RipeWindows:
    """Ripe windows of one group and model at one tick; rules that agree share what is read."""

    def __init__(self, source: WindowSource, group: Group, model: str, time: int, horizon_ns: int) -> None:
        self._source = source
        self._group = group
        self._model = model
        self._time = time
        self._horizon_ns = horizon_ns
        self._upto: dict[str, _Upto] = {}
        self._read: dict[tuple[int, tuple[str, ...]], dict[str, dict[str, WindowProfile]]] = {}

    def newest(self, rule: PerformanceRule, version: str) -> tuple[dict[str, WindowProfile], int, int]:
        """(profiles by segment, start, end) of the newest ripe window, else of the one that ends now."""
        window, interval = self._group.window, self._group.interval
        upto = self._upto.get(version) or self._upto.setdefault(version, self._sums(version))
        ends = np.arange(self._time, self._time - self._horizon_ns, -interval)
        ripe = np.flatnonzero(enough(rule, *upto.before(ends, window)))
        end = int(ends[ripe[0]]) if len(ripe) else self._time
        key = (end, tuple(rule.segments))
        if key not in self._read:
            found = self._source.window(
                self._model, self._group.reference.name, end - window, end, rule.segments, self._time, fields=False
            )
            self._read[key] = by_version(found)
        return self._read[key].get(version, {}), end - window, end

    @cached_property
    def _totals(self) -> pa.Table:
        start = self._time - self._horizon_ns - self._group.window
        return self._source.totals(self._model, self._group.reference.name, start, self._time, self._time).sort_by(
            "pane"
        )

    def _sums(self, version: str) -> _Upto:
        mine = self._totals.filter(pc.equal(self._totals["version"], version))
        truth = pc.list_element(mine["sums"], 0).to_numpy()  # the first sum: predictions with ground truth
        return _Upto(mine["pane"].to_numpy(), _running(mine["rows"].to_numpy()), _running(truth))


def _running(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])
