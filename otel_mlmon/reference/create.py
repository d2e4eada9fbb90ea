"""A reference from rows: types, bins, categories, values that stand out, and how well the model did. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from otel_mlmon.values import (
    FieldCells,
    FieldProfile,
    FieldReference,
    PerformanceCounts,
    Reference,
    RowBlock,
    SegmentReference,
    Texts,
)
from otel_mlmon.window.profile import profile_panes
from otel_mlmon.window.sums import sum_profiles, sum_totals

BINS = 10  # quantile bins of a numeric field
FEW_VALUES = 20  # a numeric field with no more different values gets one bin for each
CATEGORIES = 200  # categories kept by name; the rest count as new, in the reference as in a window
STANDS_OUT = 0.01  # share of rows from which a single value is kept as a constant
_EMPTY = FieldProfile(0, 0, 0, 0, 0, 0, {}, 0.0, 0.0, float("nan"), float("nan"))


def create_reference(
    rows: RowBlock, *, name: str, version: str, segments: Sequence[str], source: str, created: str
) -> Reference:
    """Freeze what is normal in `rows`. Segment keys must be among the block's segments."""
    fields = {field: _expectation(field, cells) for field, cells in rows.fields.items()}
    bare = Reference(rows.model, name, version, created, source, len(rows), fields)
    profiles, performance = _measure(rows, bare, segments)
    whole = profiles.get("", {})
    frozen = {
        field: replace(expected, profile=_frozen(whole[field]), constants=_constants(whole[field]))
        for field, expected in fields.items()
    }
    if int(rows.truth_known.sum()):
        # A second pass: whether predictions are classes follows from the constants of the first.
        profiles, performance = _measure(rows, replace(bare, fields=frozen), segments)
    return replace(
        bare,
        fields=frozen,
        performance=_known(performance.get("", (0, PerformanceCounts()))[1]),
        segments={
            segment: SegmentReference(
                performance[segment][0],
                {field: _frozen(profile) for field, profile in profiles[segment].items()},
                _known(performance[segment][1]),
            )
            for segment in sorted(profiles)
            if segment
        },
    )


def _known(counts: PerformanceCounts) -> PerformanceCounts | None:
    return counts if counts.with_truth else None


def _measure(
    rows: RowBlock, reference: Reference, segments: Sequence[str]
) -> tuple[dict[str, dict[str, FieldProfile]], dict[str, tuple[int, PerformanceCounts]]]:
    """Profiles and performance by segment, by the very code that measures windows."""
    version = rows.versions.labels[0]
    fields, totals = profile_panes(rows, {version: reference}, reference.name, segments, 1)
    profiles = sum_profiles(fields, list(_values(fields)), {version: reference.fields})
    return (
        {segment: named for (_, segment), named in profiles.items()},
        {segment: (n, counts) for (_, segment), (n, _, counts) in sum_totals(totals).items()},
    )


def _values(fields: pa.Table) -> Sequence[tuple[str, str, str, str, str, int]]:
    if not fields.num_rows:
        return []
    return [
        (row["version"], row["segment"], row["field"], kind, key, count)
        for row in fields.select(["version", "segment", "field", "new", "heavy"]).to_pylist()
        for kind in ("new", "heavy")
        for key, count in row[kind]
    ]


def _expectation(name: str, cells: FieldCells) -> FieldReference:
    letters = set(np.unique(cells.states).tolist())
    if cells.numbers is not None:
        type_ = "int" if ord("f") not in letters and ord("i") in letters else "float"
        return FieldReference(name, type_, "numeric", _EMPTY, edges=bin_edges(cells.numbers))
    assert cells.texts is not None
    type_ = "bool" if ord("b") in letters else "string"
    return FieldReference(name, type_, "categorical", _EMPTY, categories=_categories(cells.texts))


def bin_edges(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Edges of at most BINS bins with equal shares, or one bin for each of few values; () without any number."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ()
    distinct = np.unique(finite)
    if len(distinct) <= FEW_VALUES:
        return (*distinct.tolist(), float(distinct[-1]))  # the last bin holds just the last value
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, BINS + 1)))
    return tuple(float(edge) for edge in edges)


def _categories(texts: Texts) -> tuple[str, ...]:
    counts = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.labels))
    order = sorted(range(len(texts.labels)), key=lambda code: (-counts[code], texts.labels[code]))
    return tuple(texts.labels[code] for code in order[:CATEGORIES] if counts[code])


def _constants(profile: FieldProfile) -> dict[str, float]:
    rows = max(profile.rows, 1)
    return {value: n / rows for value, n in profile.heavy.items() if n / rows >= STANDS_OUT}


def _frozen(profile: FieldProfile) -> FieldProfile:
    """Without single values: those that matter are the constants."""
    return replace(profile, heavy={}, new={})
