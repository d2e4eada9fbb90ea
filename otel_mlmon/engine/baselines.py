"""The reference of a group at one tick: a stored reference, or other predictions measured on its bins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import replace

from otel_mlmon.engine.matured_windows import WindowSource, by_version
from otel_mlmon.rulefile import Baseline
from otel_mlmon.rulefile.baseline import WEEK
from otel_mlmon.values import (
    FieldProfile,
    FieldReference,
    PerformanceCounts,
    Reference,
    SegmentReference,
    WindowProfile,
)
from otel_mlmon.values.query import WindowQuery

_HORIZON = 4  # weeks in which a version must have been seen before another one to be the previous one


class Baselines:
    """References of groups at one tick."""

    def __init__(self, windows: WindowSource, reference_for: Callable[[str, str, str], Reference | None]) -> None:
        self._windows = windows
        self._reference_for = reference_for

    def reference(
        self, baseline: Baseline, model: str, version: str, start: int, end: int, segments: Sequence[str], known_by: int
    ) -> Reference | None:
        """Return the stored reference, with the counts of other predictions where the group asks for that.

        Only ground truth that was known by `known_by` counts. None when there is no stored reference, or no such
        predictions.
        """
        stored = self._reference_for(model, version, baseline.name)
        if stored is None or baseline.stored:
            return stored
        if baseline.segment:
            return _of_segment(stored, baseline.segment)
        profiles = self._profiles(baseline, model, version, start, end, segments, known_by)
        return _measured(stored, profiles) if profiles and "" in profiles else None

    def _profiles(
        self, baseline: Baseline, model: str, version: str, start: int, end: int, segments: Sequence[str], known_by: int
    ) -> dict[str, WindowProfile]:
        def read(first: int, last: int) -> dict[str, dict[str, WindowProfile]]:
            return by_version(self._windows.window(WindowQuery(model, baseline.name, first, last, segments, known_by)))

        if baseline.champion is not None:  # the champion is not compared with itself
            return read(start, end).get(baseline.champion, {}) if version != baseline.champion else {}
        if baseline.trailing:
            return read(start - baseline.trailing, start).get(version, {})
        if baseline.previous_version:
            return self._previous(baseline, model, version, start, end, segments, known_by)
        summed: dict[str, WindowProfile] = {}
        for i in range(1, baseline.count + 1):
            for segment, window in read(start - i * baseline.cycle, end - i * baseline.cycle).get(version, {}).items():
                summed[segment] = _add(summed[segment], window) if segment in summed else window
        return summed

    def _previous(
        self, baseline: Baseline, model: str, version: str, start: int, end: int, segments: Sequence[str], known_by: int
    ) -> dict[str, WindowProfile]:
        """The window of the version that was there before: its last week before this window's end."""
        past = WindowQuery(model, baseline.name, end - _HORIZON * WEEK, end, segments, known_by)
        totals = self._windows.totals(past)
        first: dict[str, int] = {}
        for pane, of in zip(totals["pane"].to_pylist(), totals["version"].to_pylist(), strict=True):
            first[of] = min(pane, first.get(of, pane))
        found = by_version(self._windows.window(replace(past, start=end - WEEK)))
        others = {v: by for v, by in found.items() if "" in by and first.get(v, end) < first.get(version, end)}
        if not others:
            return {}
        return others[max(others, key=lambda v: others[v][""].rows)]


def _of_segment(stored: Reference, segment: str) -> Reference | None:
    one = stored.segments.get(segment)
    if one is None:
        return None
    fields = {n: replace(f, profile=one.profiles[n]) for n, f in stored.fields.items() if n in one.profiles}
    # How features depend on one another is known of the whole only.
    return replace(
        stored,
        rows=one.rows,
        fields=fields,
        performance=one.performance,
        metric_values=one.metric_values,
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
    shares = {value: count / max(rows, 1) for value, count in profile.heavy.items() if count > 1}
    return replace(field, profile=profile, constants=shares)


def _add(one: WindowProfile, other: WindowProfile) -> WindowProfile:
    names = [name for name in one.fields if name in other.fields]
    return replace(
        one,
        rows=one.rows + other.rows,
        performance=_both(one.performance, other.performance),
        fields={name: _sum(one.fields[name], other.fields[name]) for name in names},
    )


def _both(one: PerformanceCounts, other: PerformanceCounts) -> PerformanceCounts:
    sums = {
        f.name: getattr(one, f.name) + getattr(other, f.name) for f in dataclass_fields(one) if f.name != "confusion"
    }
    return PerformanceCounts(**sums, confusion=dict(Counter(one.confusion) + Counter(other.confusion)))


def _sum(one: FieldProfile, other: FieldProfile) -> FieldProfile:
    def maps(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
        return {key: a.get(key, 0) + b.get(key, 0) for key in {**a, **b}}

    counts = {n: getattr(one, n) + getattr(other, n) for n in ("absent", "null", "nan", "infinite", "empty", "lost")}
    return FieldProfile(
        **counts,
        types=maps(one.types, other.types),
        sum=one.sum + other.sum,
        sum_squares=one.sum_squares + other.sum_squares,
        minimum=_least(one.minimum, other.minimum, min),
        maximum=_least(one.maximum, other.maximum, max),
        forms=maps(one.forms, other.forms),
        bins=None if one.bins is None or other.bins is None else one.bins + other.bins,
        categories=None if one.categories is None or other.categories is None else one.categories + other.categories,
        new=maps(one.new, other.new),
        heavy=maps(one.heavy, other.heavy),
    )


def _least(one: float, other: float, choose: Callable[[float, float], float]) -> float:
    """The smaller or larger, NaN standing for none."""
    return other if one != one else one if other != other else choose(one, other)
