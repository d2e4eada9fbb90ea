"""Windows from panes: profiles are counts, and counts add up. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.values import FieldProfile, FieldReference, PerformanceCounts, WindowProfile
from otel_mlmon.values.profiles import SUMS, ValueCount, WindowSums
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window.cells import COUNTS
from otel_mlmon.window.formats import FORMATS
from otel_mlmon.window.performance import performance_counts

_TYPES = ("int", "float", "string", "bool", "array", "map")
Key = tuple[str, str]  # version, segment


def sum_profiles(
    panes: pa.Table,
    values: Iterable[ValueCount],
    references: Mapping[str, Mapping[str, FieldReference]],
) -> dict[Key, dict[str, FieldProfile]]:
    """Add up the field profiles of panes, by (version, segment).

    `values` are the summed single values. `references` maps a version to its fields' references.
    """
    named: dict[tuple[str, str, str, str], dict[str, int]] = {}
    for version, segment, field, kind, value, count in values:
        named.setdefault((version, segment, field, kind), {})[value] = count
    sums: dict[Key, dict[str, FieldProfile]] = {}
    for (version, segment, field), lines in _grouped(panes, ("version", "segment", "field")):
        reference = references.get(version, {}).get(field)
        sums.setdefault((version, segment), {})[field] = _profile(
            lines,
            reference,
            named.get((version, segment, field, "new"), {}),
            named.get((version, segment, field, "heavy"), {}),
        )
    return sums


def _profile(
    lines: pa.Table, reference: FieldReference | None, new: Mapping[str, int], top_values: Mapping[str, int]
) -> FieldProfile:
    counts = dict(zip(COUNTS, _matrix(lines["counts"], len(COUNTS)).sum(axis=0).tolist(), strict=True))
    bins = categories = None
    if reference is not None:
        width = len(reference.edges) + 1 if reference.kind == "numeric" else len(reference.categories)
        summed = _matrix(lines["bins"], width).sum(axis=0) if width else np.zeros(0, np.int64)
        bins, categories = (summed, None) if reference.kind == "numeric" else (None, summed)
    minimum, maximum = lines["minimum"].to_numpy(), lines["maximum"].to_numpy()
    return FieldProfile(
        absent=counts["absent"],
        null=counts["null"],
        nan=counts["nan"],
        infinite=counts["infinite"],
        empty=counts["empty"],
        lost=counts["lost"],
        types={name: counts[name] for name in _TYPES if counts[name]},
        sum=float(lines["total"].to_numpy().sum()),
        sum_squares=float(lines["squares"].to_numpy().sum()),
        minimum=float(np.fmin.reduce(minimum)) if len(minimum) else float("nan"),
        maximum=float(np.fmax.reduce(maximum)) if len(maximum) else float("nan"),
        formats={name: counts[name] for name in FORMATS if counts[name]},
        bins=bins,
        categories=categories,
        new=new,
        top_values=top_values,
    )


def _matrix(column: pa.ChunkedArray, width: int) -> npt.NDArray[np.int64]:
    """Lists of a column as lines × width. Lines of another width (an older reference) count as zero."""
    lengths = pc.list_value_length(column)
    fitting = column.filter(pc.equal(lengths, width))
    flat = np.asarray(pc.list_flatten(fitting).to_numpy())
    return flat.reshape(-1, width).astype(np.int64)


def sum_totals(totals: pa.Table) -> dict[Key, tuple[int, int, int]]:
    """Return (rows, lost rows, broken rows) of a window by (version, segment)."""
    found: dict[Key, tuple[int, int, int]] = {}
    for line in totals.to_pylist():
        before = found.get((line["version"], line["segment"]), (0, 0, 0))
        more = (line["rows"], line["lost_rows"], line["broken_rows"])
        found[line["version"], line["segment"]] = (before[0] + more[0], before[1] + more[1], before[2] + more[2])
    return found


def sum_outcomes(
    sums: pa.Table, classes: pa.Table, rows: Mapping[Key, tuple[int, int, int]]
) -> dict[Key, PerformanceCounts]:
    """Return performance by (version, segment) for all of `rows`, from lines of `window.performance.outcome_tables`."""
    added: dict[Key, dict[str, float]] = {}
    if sums.num_rows:
        grouped = sums.group_by(["version", "segment"]).aggregate([(name, "sum") for name in SUMS])
        for line in grouped.to_pylist():
            added[line["version"], line["segment"]] = {name: line[f"{name}_sum"] for name in SUMS}
    confusion: dict[Key, dict[tuple[str, str], int]] = {}
    for line in classes.to_pylist():
        counted = confusion.setdefault((line["version"], line["segment"]), {})
        pair = (line["truth"], line["prediction"])
        counted[pair] = counted.get(pair, 0) + line["n"]
    none = dict.fromkeys(SUMS, 0.0)
    return {
        key: performance_counts(n, added.get(key, none), {p: c for p, c in confusion.get(key, {}).items() if c})
        for key, (n, _, _) in rows.items()
    }


def sum_windows(query: WindowQuery, lines: WindowSums) -> dict[int, list[WindowProfile]]:
    """Return windows by start, without field profiles, from the store's lines."""
    away = {(start, version): n for start, version, n in lines.dropped}
    added = {(start, version, segment): values for start, version, segment, *values in lines.sums}
    confusion: dict[tuple[int, str, str], dict[tuple[str, str], int]] = {}
    for start, version, segment, truth, prediction, n in lines.classes:
        if n:
            confusion.setdefault((start, version, segment), {})[truth, prediction] = n
    windows: dict[int, list[WindowProfile]] = {}
    none = [0.0] * len(SUMS)
    for start, version, segment, rows, lost, broken in sorted(lines.rows):
        key, end = (start, version, segment), start + query.width
        lost += 0 if segment else away.get((start, version), 0)
        counts = performance_counts(rows, dict(zip(SUMS, added.get(key, none), strict=True)), confusion.get(key, {}))
        window = WindowProfile(query.model, version, segment, start, end, rows, lost, {}, counts, broken)
        windows.setdefault(start, []).append(window)
    return windows


def _grouped(table: pa.Table, names: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], pa.Table]]:
    """Slices of `table` with equal values in the columns `names`."""
    if not table.num_rows:
        return
    table = table.sort_by([(name, "ascending") for name in names])
    codes = [pc.rank(table[name].combine_chunks(), tiebreaker="dense").to_numpy() for name in names]
    changed = np.zeros(table.num_rows, dtype=bool)
    changed[0] = True
    for code in codes:
        changed[1:] |= code[1:] != code[:-1]
    starts = [*np.flatnonzero(changed).tolist(), table.num_rows]
    for start, end in zip(starts, starts[1:], strict=False):
        yield tuple(table[name][start].as_py() for name in names), table.slice(start, end - start)
