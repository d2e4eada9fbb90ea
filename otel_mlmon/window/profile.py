"""Rows of some panes to the profiles of those panes: a pure function, so that any pane can be redone at will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.semconv import FIELD_PREDICTION
from otel_mlmon.values import FieldCells, Reference, RowBlock, Texts
from otel_mlmon.window.cells import FieldCounts, Groups, Maps, absent_cells, count_cells
from otel_mlmon.window.performance import SUMS, count_performance


@dataclass(frozen=True, slots=True)
class _Grouping:
    """Groups of rows: of one version, by pane, whole (`segment` "") or one segment value each."""

    version: str
    groups: Groups
    panes: npt.NDArray[np.int64]  # start of each group's pane
    segments: list[str]  # "" or "key=value" of each group


def profile_panes(
    rows: RowBlock,
    references: Mapping[str, Reference | None],
    reference_name: str,
    segments: Sequence[str],
    pane_ns: int,
) -> tuple[pa.Table, pa.Table]:
    """Field profiles and totals of every pane, version and segment that has rows, as tables for the store.

    `references` maps each model version that occurs to what its bins come from.
    """
    profiles: list[pa.Table] = []
    totals: list[pa.Table] = []
    for code, version in enumerate(rows.versions.labels):
        reference = references.get(version)
        of_version = rows.versions.codes == code
        for grouping in _groupings(rows, version, of_version, segments, pane_ns):
            if len(grouping.panes):
                profiles.extend(_profiles(rows, reference, reference_name, grouping))
                totals.append(_rows(rows, reference_name, grouping))
                totals.append(_performance(rows, reference, reference_name, grouping, pane_ns))
    return _concat(profiles), _concat(totals)


def _concat(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables) if tables else pa.table({})


def _groupings(
    rows: RowBlock, version: str, of_version: npt.NDArray[np.bool_], segments: Sequence[str], pane_ns: int
) -> list[_Grouping]:
    panes = rows.times // pane_ns * pane_ns
    whole = Texts(np.zeros(len(rows), np.int32), [""])
    keyed = [("", whole), *((key, rows.segments[key]) for key in segments)]
    return [_grouping(version, of_version, panes, key, texts) for key, texts in keyed]


def _grouping(
    version: str, of_version: npt.NDArray[np.bool_], panes: npt.NDArray[np.int64], key: str, texts: Texts
) -> _Grouping:
    inside = of_version & (texts.codes >= 0)
    starts, pane_index = np.unique(panes[inside], return_inverse=True)
    width = max(len(texts.labels), 1)
    pairs, group = np.unique(pane_index.reshape(-1) * width + texts.codes[inside], return_inverse=True)
    groups = np.full(len(panes), -1, dtype=np.int64)
    groups[inside] = group.reshape(-1)
    of_pane, of_label = np.divmod(pairs, width)
    labels = [f"{key}={texts.labels[c]}" if key else "" for c in of_label.tolist()]
    return _Grouping(version, groups, starts[of_pane] if len(pairs) else starts, labels)


def _profiles(rows: RowBlock, reference: Reference | None, reference_name: str, grouping: _Grouping) -> list[pa.Table]:
    expected = {} if reference is None else reference.fields
    names = list(dict.fromkeys([*expected, *rows.fields]))
    n = len(grouping.panes)
    seen: list[tuple[str, FieldCounts]] = []
    for name in names:
        cells: FieldCells = rows.fields.get(name) or absent_cells(len(rows))
        seen.append((name, count_cells(cells, expected.get(name), grouping.groups, n)))
    return [_field_table(rows.model, reference_name, grouping, name, c) for name, c in seen]


def _field_table(model: str, reference: str, grouping: _Grouping, name: str, counts: FieldCounts) -> pa.Table:
    return pa.table(
        {
            **_keys(model, reference, grouping),
            "field": _repeat(name, len(grouping.panes)),
            "counts": _lists(counts.counts),
            "bins": _lists(counts.bins),
            "total": pa.array(counts.total, pa.float64()),
            "squares": pa.array(counts.squares, pa.float64()),
            "minimum": pa.array(counts.minimum),
            "maximum": pa.array(counts.maximum),
            "new": _map(counts.new),
            "heavy": _map(counts.heavy),
        }
    )


def _rows(rows: RowBlock, reference: str, grouping: _Grouping) -> pa.Table:
    """How many predictions each group has."""
    n = len(grouping.panes)
    inside = grouping.groups >= 0
    none: Maps = (np.zeros(n + 1, np.int64), [], np.zeros(0, np.int64))
    return _totals(
        rows.model,
        reference,
        grouping,
        known=np.zeros(n, np.int64),
        counts=np.bincount(grouping.groups[inside], minlength=n),
        lost=np.bincount(grouping.groups[inside & rows.lost], minlength=n),
        sums=np.zeros((n, len(SUMS))),
        confusion=none,
    )


def _performance(
    rows: RowBlock, reference: Reference | None, reference_name: str, grouping: _Grouping, pane_ns: int
) -> pa.Table:
    """Performance sums of each group, apart by the pane in which the ground truth became known."""
    inside = (grouping.groups >= 0) & rows.truth_known
    known = (rows.truth_times // pane_ns + 1) * pane_ns
    pairs, index = np.unique(np.stack([grouping.groups[inside], known[inside]]), axis=1, return_inverse=True)
    groups = np.full(len(rows), -1, dtype=np.int64)
    groups[inside] = index.reshape(-1)
    of, known_by = pairs
    n = len(of)
    prediction = None if reference is None else reference.fields.get(FIELD_PREDICTION)
    sums, confusion = count_performance(rows, prediction, groups, n)
    apart = _Grouping(grouping.version, groups, grouping.panes[of], [grouping.segments[group] for group in of.tolist()])
    zeros = np.zeros(n, np.int64)
    return _totals(
        rows.model, reference_name, apart, known=known_by, counts=zeros, lost=zeros, sums=sums, confusion=confusion
    )


def _totals(
    model: str,
    reference: str,
    grouping: _Grouping,
    *,
    known: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    lost: npt.NDArray[np.int64],
    sums: npt.NDArray[np.float64],
    confusion: Maps,
) -> pa.Table:
    return pa.table(
        {
            **_keys(model, reference, grouping),
            "known": pa.array(known, pa.int64()),
            "rows": pa.array(counts, pa.int64()),
            "lost_rows": pa.array(lost, pa.int64()),
            "sums": pa.ListArray.from_arrays(_offsets(sums), pa.array(sums.reshape(-1), pa.float64())),
            "confusion": _map(confusion),
        }
    )


def _keys(model: str, reference: str, grouping: _Grouping) -> dict[str, pa.Array]:
    n = len(grouping.panes)
    return {
        "model": _repeat(model, n),
        "reference": _repeat(reference, n),
        "version": _repeat(grouping.version, n),
        "segment": pa.array(grouping.segments, pa.string()),
        "pane": pa.array(grouping.panes, pa.int64()),
    }


def _repeat(text: str, n: int) -> pa.Array:
    return pa.array([text] * n, pa.string())


def _offsets(matrix: npt.NDArray[np.float64] | npt.NDArray[np.int64]) -> pa.Array:
    lines, width = matrix.shape
    return pa.array(np.arange(lines + 1, dtype=np.int32) * width)


def _lists(matrix: npt.NDArray[np.int64]) -> pa.Array:
    return pa.ListArray.from_arrays(_offsets(matrix), pa.array(matrix.reshape(-1)))


def _map(maps: Maps) -> pa.Array:
    offsets, keys, counts = maps
    return pa.MapArray.from_arrays(
        pa.array(offsets.astype(np.int32)), pa.array(keys, pa.string()), pa.array(counts, pa.int64())
    )
