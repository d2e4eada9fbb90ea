"""The reference of a group at one tick: a stored reference, or other predictions measured on its bins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from otel_mlmon.engine.matured_windows import WindowSource, by_version
from otel_mlmon.rulefile import Baseline
from otel_mlmon.rulefile.baseline import WEEK
from otel_mlmon.values import FieldProfile, FieldReference, Reference, SegmentReference, WindowProfile
from otel_mlmon.values.query import WindowQuery

_HORIZON = 4  # weeks in which a version must have been seen before another one to be the previous one


class Baselines:
    """References of groups at one tick."""

    def __init__(self, windows: WindowSource, reference_for: Callable[[str, str, str], Reference | None]) -> None:
        self._windows = windows
        self._reference_for = reference_for

    def reference(self, baseline: Baseline, version: str, query: WindowQuery) -> Reference | None:
        """Return the stored reference, with the counts of other predictions where the group asks for that.

        `query` is the window of `version` that is judged, and by when ground truth was known to count. None when there
        is no stored reference, or no such predictions.
        """
        stored = self._reference_for(query.model, version, baseline.name)
        if stored is None or baseline.stored:
            return stored
        if baseline.segment:
            return _of_segment(stored, baseline.segment)
        profiles = self._profiles(baseline, version, query)
        return _measured(stored, profiles) if profiles and "" in profiles else None

    def _profiles(self, baseline: Baseline, version: str, query: WindowQuery) -> dict[str, WindowProfile]:
        start, end = query.start, query.end

        def read(first: int, last: int) -> dict[str, dict[str, WindowProfile]]:
            return by_version(self._windows.window(replace(query, start=first, end=last)))

        if baseline.champion is not None:  # the champion is not compared with itself
            return read(start, end).get(baseline.champion, {}) if version != baseline.champion else {}
        if baseline.trailing:
            return read(start - baseline.trailing, start).get(version, {})
        if baseline.previous_version:
            return self._previous(version, query)
        summed: dict[str, WindowProfile] = {}
        for i in range(1, baseline.count + 1):
            for segment, window in read(start - i * baseline.cycle, end - i * baseline.cycle).get(version, {}).items():
                summed[segment] = summed[segment] + window if segment in summed else window
        return summed

    def _previous(self, version: str, query: WindowQuery) -> dict[str, WindowProfile]:
        """The window of the version that was there before: its last week before this window's end."""
        end = query.end
        past = replace(query, start=end - _HORIZON * WEEK)
        totals = self._windows.totals(past)
        first: dict[str, int] = {}
        for pane, of in zip(totals["pane"].to_pylist(), totals["version"].to_pylist(), strict=True):
            first[of] = min(pane, first.get(of, pane))
        last_week = by_version(self._windows.window(replace(past, start=end - WEEK)))
        others = {v: by for v, by in last_week.items() if "" in by and first.get(v, end) < first.get(version, end)}
        return max(others.values(), key=lambda windows: windows[""].rows, default={})


def _of_segment(stored: Reference, segment: str) -> Reference | None:
    part = stored.segments.get(segment)
    if part is None:
        return None
    fields = {n: replace(f, profile=part.profiles[n]) for n, f in stored.fields.items() if n in part.profiles}
    # How features depend on one another is known of the whole only.
    return replace(
        stored,
        rows=part.rows,
        fields=fields,
        performance=part.performance,
        metric_values=part.metric_values,
        segments={},
        components=None,
    )


def _measured(stored: Reference, windows: Mapping[str, WindowProfile]) -> Reference:
    whole = windows[""]
    fields = {
        name: _field(field, whole.fields[name], whole.rows)
        for name, field in stored.fields.items()
        if name in whole.fields
    }
    segments = {
        segment: SegmentReference(window.rows, window.fields, window.performance)
        for segment, window in windows.items()
        if segment
    }
    return replace(
        stored, rows=whole.rows, fields=fields, performance=whole.performance, metric_values={}, segments=segments
    )


def _field(field: FieldReference, profile: FieldProfile, rows: int) -> FieldReference:
    shares = {value: count / max(rows, 1) for value, count in profile.top_values.items() if count > 1}
    return replace(field, profile=profile, constants=shares)
