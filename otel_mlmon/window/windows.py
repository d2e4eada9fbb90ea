"""Panes that are due, and the windows that rules ask for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.values import FieldProfile, Reference, RowBlock, WindowProfile
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.values.storage import Storage
from otel_mlmon.window.performance import outcome_tables
from otel_mlmon.window.profile import profile_panes
from otel_mlmon.window.sums import sum_profiles, sum_windows

PANES_AT_ONCE = 2000
EVENTS_AT_ONCE = 200_000


ReferenceFor = Callable[[str, str, str], Reference | None]  # (model, version, reference name)


@dataclass(frozen=True, slots=True)
class Plan:
    """The profiles that a model needs: segment keys by the references that rules name."""

    segments: Mapping[str, tuple[str, ...]]  # reference name → keys


class Windows:
    """Keeps the profiles of closed panes up to date. One thread at a time may call `close`."""

    def __init__(
        self, store: Storage, reference_for: ReferenceFor, *, pane_ns: int, horizon_ns: int | None = None
    ) -> None:
        """Sum up ground truth within `horizon_ns` of its prediction (None: any). Other ground truth is kept only."""
        self._store = store
        self._horizon_ns = horizon_ns
        self._reference_for = reference_for
        self.pane_ns = pane_ns
        self._lock = threading.Lock()
        self._dirty: dict[str, dict[int, int]] = {}  # model → pane → first commit not yet in its profile
        self._truth_waiting: set[str] = set()  # models with ground truth that may not be in the sums yet
        self._plans: dict[str, Plan] = {}
        for model in store.rows.models():
            self._recover(model)

    def _recover(self, model: str) -> None:
        """After a start: mark panes with commits that are not in a profile yet."""
        done = self._store.profiles.progress(model)
        panes = self._store.rows.panes_after(model, done, self.pane_ns)
        self._dirty[model] = dict.fromkeys(panes, done + 1)
        self._truth_waiting.add(model)

    def touch(self, model: str, times: npt.NDArray[np.int64]) -> None:
        """Note that predictions at these times were committed."""
        panes = np.unique(times // self.pane_ns * self.pane_ns).tolist()
        seq = self._store.seq()
        with self._lock:
            dirty = self._dirty.setdefault(model, {})
            for pane in panes:
                dirty.setdefault(pane, seq)

    def touch_ground_truth(self, model: str) -> None:
        """Note that ground truth of this model was committed."""
        with self._lock:
            self._truth_waiting.add(model)

    def plan(self, model: str, plan: Plan, fingerprint: str, since: int) -> None:
        """Set the profiles that a model needs. When `fingerprint` differs from the last one, panes from `since` are
        redone.
        """
        self._plans[model] = plan
        if self._store.documents.read("plan").get(model) == fingerprint:
            return
        with self._lock:
            dirty = self._dirty.setdefault(model, {})
            for pane in self._store.rows.panes_after(model, 0, self.pane_ns):
                if pane >= since:
                    dirty[pane] = 0
        self._store.outcomes.forget(model)
        self.touch_ground_truth(model)
        # First: after a crash the plan is known already, and panes are redone by progress alone.
        self._store.profiles.set_progress(model, 0)
        self._store.documents.put("plan", {model: fingerprint})

    def close(self, model: str, upto: int) -> int:
        """Bring the profiles of all panes that end by `upto` (ns) up to date; return how many panes were redone."""
        plan = self._plans.get(model)
        if plan is None or model not in self._store.rows.models():
            return 0
        with self._lock:  # before `seq` is read: later commits are for the next call
            waiting = model in self._truth_waiting
            self._truth_waiting.discard(model)
        newest = self._store.seq()
        with self._lock:
            due = {p: s for p, s in self._dirty.get(model, {}).items() if p + self.pane_ns <= upto}
        panes = sorted(due)
        try:
            for first in range(0, len(panes), PANES_AT_ONCE):
                self._redo(model, plan, panes[first : first + PANES_AT_ONCE], due)
            if panes:
                self._note_progress(model, newest)
            if waiting or panes:  # a prediction may come after its ground truth
                self._add_outcomes(model, plan, newest)
        except BaseException:
            self.touch_ground_truth(model)
            raise
        return len(panes)

    def _add_outcomes(self, model: str, plan: Plan, newest: int) -> None:
        """Add new commits to the sums over predictions with ground truth, each commit once."""
        for name, segments in plan.segments.items():
            since = self._store.outcomes.progress(model, name)
            while since < newest:
                events = self._store.outcomes.events(model, segments, since, newest, self._horizon_ns, EVENTS_AT_ONCE)
                if events is None:
                    break
                since = events.seq
                references = {v: self._reference_for(model, v, name) for v in events.rows.versions.labels}
                sums, classes = outcome_tables(events.rows, events.signs, references, name, segments, self.pane_ns)
                self._store.outcomes.append(model, name, sums, classes, since)

    def _redo(self, model: str, plan: Plan, panes: list[int], due: dict[int, int]) -> None:
        with self._lock:  # from here on, a commit marks the pane again
            for pane in panes:
                self._dirty[model].pop(pane, None)
        try:
            for name, segments in plan.segments.items():
                # Profiles need no ground truth.
                rows = self._store.rows.read(RowQuery(model, _ranges(panes, self.pane_ns), segments, known_by=0))
                if rows is None:
                    continue
                references = {v: self._reference_for(model, v, name) for v in rows.versions.labels}
                fields, totals = profile_panes(rows, references, name, segments, self.pane_ns)
                self._store.profiles.replace(model, name, panes, fields, totals)
        except BaseException:
            with self._lock:
                for pane in panes:
                    self._dirty[model][pane] = min(due[pane], self._dirty[model].get(pane, due[pane]))
            raise

    def _note_progress(self, model: str, newest: int) -> None:
        """Note progress before `newest`, the last commit when the work began: its `touch` may still come."""
        with self._lock:
            waiting = self._dirty.get(model, {}).values()
            seq = min([newest - 1, *(s - 1 for s in waiting)])
        self._store.profiles.set_progress(model, max(seq, 0))

    def window(self, query: WindowQuery) -> list[WindowProfile]:
        """Return the window as one profile per version, whole and per segment value."""
        windows = self.windows(query, [query.start])[query.start]
        if not query.fields:
            return windows
        profiles = self._fields(query, {window.version for window in windows})
        return [replace(window, fields=profiles.get((window.version, window.segment), {})) for window in windows]

    def windows(self, query: WindowQuery, starts: Sequence[int]) -> dict[int, list[WindowProfile]]:
        """Return the window moved to each of `starts`, by start, without field profiles."""
        windows = sum_windows(query, self._store.outcomes.window_sums(query, starts))
        return {start: windows.get(start, []) for start in starts}

    def _fields(self, query: WindowQuery, versions: Iterable[str]) -> dict[tuple[str, str], dict[str, FieldProfile]]:
        found = {version: self._reference_for(query.model, version, query.reference) for version in versions}
        references = {version: reference.fields for version, reference in found.items() if reference is not None}
        constants = {value for fields in references.values() for field in fields.values() for value in field.constants}
        names: list[str] | None = None
        if query.selects is not None:
            known = {
                *self._store.rows.fields(query.model),
                *(name for fields in references.values() for name in fields),
            }
            names = sorted(filter(query.selects, known))
        return sum_profiles(
            self._store.profiles.read(query, names),
            self._store.profiles.values(query, sorted(constants), names),
            references,
        )

    def rows(self, query: RowQuery) -> RowBlock | None:
        """Return the predictions themselves, of all versions. `known_by` is rounded down to a whole pane, as in the
        sums.
        """
        if query.known_by is not None:
            query = replace(query, known_by=query.known_by // self.pane_ns * self.pane_ns)
        return self._store.rows.read(query)

    def totals(self, query: WindowQuery) -> pa.Table:
        """Return predictions and known ground truths, pane by pane: version, pane, rows, truth."""
        return self._store.profiles.traffic(query)

    def known(self, query: WindowQuery, step: int) -> pa.Table:
        """Return when ground truth became known: version, `at` (of predictions), `known`, n, in steps of `step` ns."""
        return self._store.outcomes.known(query, step)


def _ranges(panes: list[int], pane_ns: int) -> list[tuple[int, int]]:
    """Join neighbouring panes into half-open ranges; `panes` is sorted."""
    ranges: list[tuple[int, int]] = []
    for pane in panes:
        if ranges and ranges[-1][1] == pane:
            ranges[-1] = (ranges[-1][0], pane + pane_ns)
        else:
            ranges.append((pane, pane + pane_ns))
    return ranges
