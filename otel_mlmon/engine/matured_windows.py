"""Windows for rules about ground truth: the newest one with enough of it, and older ones as more of it comes.

Ground truth comes late, so the window that ends now has none. Such rules judge the newest window that has matured: the
rule's `min_ground_truth` and `min_coverage` are known of it. Delays so far tell how much of its ground truth is still
to come.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.checks.context import Arrivals, WindowRows, has_enough_ground_truth
from otel_mlmon.rulefile import GroundTruthRule, Group
from otel_mlmon.stats.estimation.delay import DelayDistribution, delay_distribution
from otel_mlmon.values import RowBlock, WindowProfile
from otel_mlmon.values.history import LastRevision
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.values.storage import TickStorage

_SLOWEST: Final = 0.99  # share of the ground truth that has come when a version is no longer waited for
_STEPS: Final = 24  # of a window, in which delays are measured
_COMPLETE: Final = 0.995  # share of a window's predictions with ground truth, above which the rest does not matter
_MOST_STEPS: Final = 400  # of the delay distribution
_GROWTH: Final = 0.02  # of a window's predictions: how much more must be known before it is judged again


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


Stage = Literal["provisional", "final"]


@dataclass(frozen=True, slots=True)
class Maturity:
    """Delays of one model version as learnt by `time`; `step` is their unit in ns."""

    delays: DelayDistribution
    step: int
    time: int

    def expected(self, start: int, end: int) -> float:
        """Return the share of the ground truth of [start, end) that should have come by now, of all that will come."""
        ages = (self.time - np.linspace(start, end, 21)) / self.step
        return float(np.mean(self.delays.share(np.maximum(ages, 0.0))))

    def stage(self, end: int, predictions: int, with_truth: int) -> Stage:
        """Of a window that ends at `end`."""
        age = (self.time - end) / self.step
        complete = predictions > 0 and with_truth >= _COMPLETE * predictions
        return "final" if complete or (self.delays.settled(age)) else "provisional"

    def quantile_s(self, share: float) -> float:
        """Delay in seconds by which `share` of the ground truth has come; NaN where none has."""
        return self.delays.quantile(share) * self.step / 1e9


def maturity(known: pa.Table, version: str, time: int, step: int) -> Maturity:
    """From when ground truth became known: columns version, at and known (multiples of `step` ns) and n."""
    mine = known.filter(pc.equal(known["version"], version)) if known.num_rows else known
    if not mine.num_rows:
        return Maturity(DelayDistribution(np.zeros(0), 0), step, time)
    at = mine["at"].to_numpy() // step
    delay = np.maximum(mine["known"].to_numpy() // step - at, 0)
    cohorts, index = np.unique(at, return_inverse=True)
    coarser = max(1, -(-int(delay.max() + 1) // _MOST_STEPS))
    counts = np.zeros((len(cohorts), int(delay.max()) // coarser + 1))
    np.add.at(counts, (index.reshape(-1), delay // coarser), mine["n"].to_numpy())
    ages = (time // step - cohorts) // coarser
    return Maturity(delay_distribution(counts, ages), step * coarser, time)


@dataclass(frozen=True, slots=True)
class _Upto:
    """Running sums over a version's panes: predictions, and predictions with ground truth."""

    panes: npt.NDArray[np.int64]
    rows: npt.NDArray[np.float64]
    truth: npt.NDArray[np.float64]

    def before(
        self, ends: npt.NDArray[np.int64], window: int
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Predictions, and ground truths, in the window that ends at each time."""
        first, last = np.searchsorted(self.panes, ends - window), np.searchsorted(self.panes, ends)
        return self.rows[last] - self.rows[first], self.truth[last] - self.truth[first]


class Newest(NamedTuple):
    """The newest matured window [start, end), with its profiles by segment."""

    windows: Mapping[str, WindowProfile]
    start: int
    end: int


class MaturedWindows:
    """Windows with ground truth of one group and model at one tick; rules share the windows that are read."""

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

    def newest(self, rule: GroundTruthRule, version: str) -> Newest:
        """Return the newest matured window, else the one that ends now."""
        window, interval = self._group.window, self._group.interval
        upto = self._sums(version)
        oldest = int(upto.panes[0]) if len(upto.panes) else self._time
        ends = np.arange(self._time, max(self._time - self._horizon_ns, oldest), -interval)
        matured = np.flatnonzero(has_enough_ground_truth(rule, *upto.before(ends, window)))
        end = int(ends[matured[0]]) if len(matured) else self._time
        return Newest(self.between(version, end - window, end, rule.segments), end - window, end)

    def between(self, version: str, start: int, end: int, segments: Sequence[str]) -> dict[str, WindowProfile]:
        """Return the profiles of predictions in [start, end) by segment, with the ground truth known by now."""
        self.read([start], end - start, segments)
        return self._read[start, end, tuple(segments)].get(version, {})

    def read(self, starts: Sequence[int], width: int, segments: Sequence[str]) -> None:
        """Read several windows of `width` at once, any number of widths apart, for later calls of `between`."""
        wanted = [start for start in starts if (start, start + width, tuple(segments)) not in self._read]
        if wanted:
            name = self._group.reference.name
            query = WindowQuery(self._model, name, wanted[0], wanted[0] + width, segments, self._time)
            for start, windows in self._source.windows(query, wanted).items():
                self._read[start, start + width, tuple(segments)] = by_version(windows)

    def waiting(self) -> list[str]:
        """Return the versions whose ground truth may still come, though they may no longer predict."""
        newest = {v: int(self._sums(v).panes[-1]) for v in pc.unique(self._totals["version"]).to_pylist()}
        return [v for v, pane in newest.items() if self._time - pane <= self._group.window + self._slowest_ns(v)]

    def _slowest_ns(self, version: str) -> float:
        seconds = self.maturity(version).quantile_s(_SLOWEST)
        return 1e9 * seconds if seconds == seconds else 0.0

    def rows(self, start: int, end: int) -> WindowRows:
        """Return the predictions of a window themselves, with the ground truth known by now."""
        if (start, end) not in self._rows:
            keys = sorted({key for rule in self._group.rules for key in rule.segments})
            self._rows[start, end] = WindowRows(
                lambda keys: self._source.rows(RowQuery(self._model, [(start, end)], keys, self._time)), keys
            )
        return self._rows[start, end]

    def identified_rows(self, start: int, end: int) -> WindowRows:
        """Return the predictions of a window with their ids."""
        return WindowRows(
            lambda keys: self._source.rows(
                RowQuery(self._model, [(start, end)], keys, known_by=self._time, with_ids=True)
            )
        )

    def history(self, version: str, segments: Sequence[str]) -> VersionHistory:
        """Return a model version in other stretches of time."""
        return VersionHistory(self, version, segments)

    def arrivals(self, version: str, start: int, end: int) -> Arrivals:
        """Return how many predictions each pane in [start, end) has."""
        totals = self._source.totals(WindowQuery(self._model, self._group.reference.name, start, end, known_by=end))
        mine = totals.filter(pc.equal(totals["version"], version)) if totals.num_rows else totals
        if not mine.num_rows:
            return Arrivals(np.zeros(0, np.int64), np.zeros(0, np.int64), self.pane_ns)
        panes, index = np.unique(mine["pane"].to_numpy(), return_inverse=True)
        rows = np.bincount(index.reshape(-1), weights=mine["rows"].to_numpy()).astype(np.int64)
        return Arrivals(panes, rows, self.pane_ns)

    @property
    def pane_ns(self) -> int:
        """Return the length of a pane."""
        return self._source.pane_ns

    def windows_with_ground_truth(self, version: str) -> list[int]:
        """Return the ends of the windows with ground truth, newest last; windows stand side by side from time 0 on."""
        upto = self._sums(version)
        with_truth = np.flatnonzero(np.diff(upto.truth) > 0)
        ends = (np.unique(upto.panes[with_truth] // self._group.window) + 1) * self._group.window
        past: list[int] = ends[ends <= self._time].tolist()
        return past

    def known_in(self, version: str, start: int, end: int) -> tuple[int, int]:
        """Return the number of predictions in [start, end), and of predictions with ground truth by now."""
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
        """Return how long ground truth takes to come, as learnt by now."""
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


@dataclass(frozen=True, slots=True)
class VersionHistory:
    """One model version in other stretches of time; profiles are by the values of `segments`."""

    matured: MaturedWindows
    version: str
    segments: Sequence[str]

    def arrivals(self, start: int, end: int) -> Arrivals:
        """Return how many predictions each pane in [start, end) has."""
        return self.matured.arrivals(self.version, start, end)

    def windows(self, start: int, end: int) -> Mapping[str, WindowProfile]:
        """Return the profiles of whole panes in [start, end), with the ground truth known by now."""
        pane = self.matured.pane_ns
        return self.matured.between(self.version, start // pane * pane, end, self.segments)


def by_version(windows: Sequence[WindowProfile]) -> dict[str, dict[str, WindowProfile]]:
    """Sort windows by version and segment."""
    sorted_: dict[str, dict[str, WindowProfile]] = {}
    for window in windows:
        sorted_.setdefault(window.version, {})[window.segment] = window
    return sorted_


class RuleKey(NamedTuple):
    """A rule for one model version."""

    group: str
    rule: str
    model: str
    version: str


class Due(NamedTuple):
    """A past window with more ground truth than when it was last judged; a final one too, since delays may grow."""

    start: int
    end: int


class Revisions:
    """Past windows of a rule that are due to be judged again. They stand side by side, for any interval."""

    def __init__(self, store: TickStorage) -> None:
        self._store = store
        self._seen: dict[RuleKey, dict[int, LastRevision]] = {}

    def due(self, key: RuleKey, alert: str, width: int, matured: MaturedWindows, since: int) -> Iterator[Due]:
        """Yield windows of `width`, newest last, that have more ground truth or another maturity than before.

        `alert` is the id of the rule's alert on the whole model; windows that end before `since` are forgotten.
        """
        if key not in self._seen:
            self._seen[key] = {row.end: row for row in self._store.last_revisions(alert)}
        seen, maturity = self._seen[key], matured.maturity(key.version)
        for end in matured.windows_with_ground_truth(key.version):
            before = seen.get(end, LastRevision(end, 0, ""))
            predictions, with_truth = matured.known_in(key.version, end - width, end)
            if not with_truth:
                continue
            stage = maturity.stage(end, predictions, with_truth)
            if stage != before.maturity or with_truth - before.with_truth >= max(_GROWTH * predictions, 1):
                seen[end] = LastRevision(end, with_truth, stage)
                yield Due(end - width, end)
        for end in [end for end in seen if end < since]:
            del seen[end]
