"""The newest window of which enough ground truth is known: what performance rules judge.

Ground truth comes late, so the window that ends now has none. Performance is judged on the youngest window that is
ripe, and judged again when more of it becomes known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.checks.performance import enough
from otel_mlmon.checks.rows import WindowRows
from otel_mlmon.engine.maturity import Maturity, maturity
from otel_mlmon.engine.verdicts import by_version
from otel_mlmon.rulefile import GroundTruthRule, Group
from otel_mlmon.values import RowBlock, WindowProfile
from otel_mlmon.values.query import RowQuery, WindowQuery

_SLOWEST: Final = 0.99  # of the ground truth has come by then
_STEPS: Final = 24  # of a window, in which delays are measured


class WindowSource(Protocol):
    """Where windows come from."""

    pane_ns: int

    def window(self, query: WindowQuery) -> list[WindowProfile]: ...
    def windows(self, query: WindowQuery, starts: Sequence[int]) -> dict[int, list[WindowProfile]]: ...
    def rows(self, query: RowQuery) -> RowBlock | None: ...
    def totals(self, query: WindowQuery) -> pa.Table:
        """The panes of a version in their order."""
        ...

    def known(self, query: WindowQuery, step: int) -> pa.Table: ...


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
        self._read: dict[tuple[int, int, tuple[str, ...]], dict[str, dict[str, WindowProfile]]] = {}
        self._rows: dict[tuple[int, int], WindowRows] = {}
        self._maturity: dict[str, Maturity] = {}

    def newest(self, rule: GroundTruthRule, version: str) -> tuple[dict[str, WindowProfile], int, int]:
        """(profiles by segment, start, end) of the newest ripe window, else of the one that ends now."""
        window, interval = self._group.window, self._group.interval
        upto = self._sums(version)
        oldest = int(upto.panes[0]) if len(upto.panes) else self._time
        ends = np.arange(self._time, max(self._time - self._horizon_ns, oldest), -interval)
        ripe = np.flatnonzero(enough(rule, *upto.before(ends, window)))
        end = int(ends[ripe[0]]) if len(ripe) else self._time
        return self.between(version, end - window, end, rule.segments), end - window, end

    def between(self, version: str, start: int, end: int, segments: Sequence[str]) -> dict[str, WindowProfile]:
        """What is known by now of predictions in [start, end), by segment."""
        self.read([start], end - start, segments)
        return self._read[start, end, tuple(segments)].get(version, {})

    def read(self, starts: Sequence[int], width: int, segments: Sequence[str]) -> None:
        """Read windows of `width` that will be asked for, any number of widths apart, all at once."""
        wanted = [start for start in starts if (start, start + width, tuple(segments)) not in self._read]
        if wanted:
            name = self._group.reference.name
            query = WindowQuery(self._model, name, wanted[0], wanted[0] + width, segments, self._time)
            for start, found in self._source.windows(query, wanted).items():
                self._read[start, start + width, tuple(segments)] = by_version(found)

    def waiting(self) -> list[str]:
        """Versions whose ground truth is still to be expected, though they may no longer predict."""
        newest = {v: int(self._sums(v).panes[-1]) for v in pc.unique(self._totals["version"]).to_pylist()}
        return [v for v, pane in newest.items() if self._time - pane <= self._group.window + self._slowest_ns(v)]

    def _slowest_ns(self, version: str) -> float:
        seconds = self.maturity(version).quantile_s(_SLOWEST)
        return 1e9 * seconds if seconds == seconds else 0.0

    def rows(self, start: int, end: int) -> WindowRows:
        """The predictions of a window themselves, with the ground truth that is known by now."""
        found = self._rows.get((start, end))
        if found is None:
            keys = sorted({key for rule in self._group.rules for key in rule.segments})
            found = WindowRows(
                lambda keys: self._source.rows(RowQuery(self._model, [(start, end)], keys, self._time)), keys
            )
            self._rows[start, end] = found
        return found

    def windows_with_ground_truth(self, version: str) -> list[int]:
        """Ends of the windows, one after the other since time 0, of which something is known by now; the newest last."""
        upto = self._sums(version)
        told = np.flatnonzero(np.diff(upto.truth) > 0)
        ends = (np.unique(upto.panes[told] // self._group.window) + 1) * self._group.window
        found: list[int] = ends[ends <= self._time].tolist()
        return found

    def known_in(self, version: str, start: int, end: int) -> tuple[int, int]:
        """(predictions, of them with ground truth by now) in [start, end), as a whole."""
        upto = self._sums(version)
        rows, truth = upto.before(np.array([end]), end - start)
        return int(rows[0]), round(float(truth[0]))

    @property
    def _step(self) -> int:
        return max(self._source.pane_ns, self._group.window // _STEPS)

    @property
    def _past(self) -> WindowQuery:
        """All predictions whose ground truth may still come."""
        start = self._time - self._horizon_ns - self._group.window
        return WindowQuery(self._model, self._group.reference.name, start, self._time, known_by=self._time)

    @cached_property
    def _delays(self) -> pa.Table:
        return self._source.known(self._past, self._step)

    def maturity(self, version: str) -> Maturity:
        """How long ground truth takes to come, as far as is known by now."""
        if version not in self._maturity:
            self._maturity[version] = maturity(self._delays, version, self._time, self._step)
        return self._maturity[version]

    @cached_property
    def _totals(self) -> pa.Table:
        return self._source.totals(self._past)

    def _sums(self, version: str) -> _Upto:
        if version not in self._upto:
            mine = self._totals.filter(pc.equal(self._totals["version"], version))
            rows, truth = _running(mine["rows"].to_numpy()), _running(mine["truth"].to_numpy())
            self._upto[version] = _Upto(mine["pane"].to_numpy(), rows, truth)
        return self._upto[version]


def _running(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([[0.0], np.cumsum(values)])
