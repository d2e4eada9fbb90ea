"""Profiles of panes from their rows: a pure function, so that any pane can be redone at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.values import FieldCells, Reference, RowBlock
from otel_mlmon.window.broken import broken_rows
from otel_mlmon.window.cells import Maps, count_cells
from otel_mlmon.window.grouping import Grouping, concat, groupings, keys, repeat


def profile_panes(
    rows: RowBlock,
    references: Mapping[str, Reference | None],
    reference_name: str,
    segments: Sequence[str],
    pane_ns: int,
) -> tuple[pa.Table, pa.Table]:
    """Return field profiles and totals of every pane, version and segment with rows, as tables for the store.

    `references` maps each model version in the rows to the reference that its bins come from.
    """
    profiles: list[pa.Table] = []
    totals: list[pa.Table] = []
    for code, version in enumerate(rows.versions.labels):
        reference = references.get(version)
        of_version = rows.versions.codes == code
        broken = broken_rows(rows, reference)
        for grouping in groupings(rows, version, of_version, segments, pane_ns):
            if len(grouping.panes):
                profiles.extend(_profiles(rows, reference, reference_name, grouping))
                totals.append(_totals(rows, reference_name, grouping, broken))
    return concat(profiles), concat(totals)


def _profiles(rows: RowBlock, reference: Reference | None, reference_name: str, grouping: Grouping) -> list[pa.Table]:
    """Return a line of each group for every field of the reference and of the rows."""
    expected = {} if reference is None else reference.fields
    n = len(grouping.panes)
    tables = []
    for name in dict.fromkeys([*expected, *rows.fields]):
        cells = rows.fields.get(name) or FieldCells.all_absent(len(rows))
        counts = count_cells(cells, expected.get(name), grouping.groups, n)
        columns = {
            "field": repeat(name, n),
            "counts": _lists(counts.counts),
            "bins": _lists(counts.bins),
            "total": pa.array(counts.total, pa.float64()),
            "squares": pa.array(counts.squares, pa.float64()),
            "minimum": pa.array(counts.minimum),
            "maximum": pa.array(counts.maximum),
            "new": _map(counts.new),
            "heavy": _map(counts.top_values),
        }
        tables.append(pa.table({**_keys(rows.model, reference_name, grouping), **columns}))
    return tables


def _totals(rows: RowBlock, reference: str, grouping: Grouping, broken: npt.NDArray[np.bool_]) -> pa.Table:
    """Count the predictions of each group, those with values that were cut off, and those with a broken feature."""
    n = len(grouping.panes)
    inside = grouping.groups >= 0
    counted = {
        name: np.bincount(grouping.groups[inside & mask], minlength=n)
        for name, mask in (("rows", inside), ("lost_rows", rows.lost), ("broken_rows", broken))
    }
    return pa.table(
        {**_keys(rows.model, reference, grouping), **{name: pa.array(c, pa.int64()) for name, c in counted.items()}}
    )


def _keys(model: str, reference: str, grouping: Grouping) -> dict[str, pa.Array]:
    return {
        **keys(model, reference, grouping.version, grouping.segments),
        "pane": pa.array(grouping.panes, pa.int64()),
    }


def _lists(matrix: npt.NDArray[np.int64]) -> pa.Array:
    lines, width = matrix.shape
    return pa.ListArray.from_arrays(np.arange(lines + 1, dtype=np.int32) * width, pa.array(matrix.reshape(-1)))


def _map(maps: Maps) -> pa.Array:
    offsets, keys, counts = maps
    return pa.MapArray.from_arrays(
        pa.array(offsets.astype(np.int32)), pa.array(keys, pa.string()), pa.array(counts, pa.int64())
    )
