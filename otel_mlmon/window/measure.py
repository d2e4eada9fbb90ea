"""Profiles of a block of rows as one window, without panes and without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from otel_mlmon.values import PerformanceCounts, Reference, RowBlock, WindowProfile
from otel_mlmon.values.profiles import ValueCount
from otel_mlmon.window.performance import outcome_tables
from otel_mlmon.window.profile import profile_panes
from otel_mlmon.window.sums import Key, sum_outcomes, sum_profiles, sum_totals


def measure(
    rows: RowBlock, references: Mapping[str, Reference | None], segments: Sequence[str], start: int, end: int
) -> list[WindowProfile]:
    """Profile rows that all lie in [start, end), by version, whole and per segment value."""
    one_pane = replace(rows, times=rows.times - start)
    fields, counted, performance = measure_pane(one_pane, references, segments, max(end - start, 1))
    known = {v: {} if r is None else r.fields for v, r in references.items()}
    named = sum_profiles(fields, single_values(fields), known)
    return [
        WindowProfile(
            rows.model,
            version,
            segment,
            start,
            end,
            rows=n,
            lost_rows=lost,
            fields=named.get((version, segment), {}),
            performance=performance[version, segment],
            broken_rows=broken,
        )
        for (version, segment), (n, lost, broken) in sorted(counted.items())
    ]


def measure_pane(
    rows: RowBlock, references: Mapping[str, Reference | None], segments: Sequence[str], pane_ns: int
) -> tuple[pa.Table, dict[Key, tuple[int, int, int]], dict[Key, PerformanceCounts]]:
    """Return field profiles, (rows, lost, broken) and performance of rows that all lie in one pane."""
    fields, totals = profile_panes(rows, references, "", segments, pane_ns)
    counted = sum_totals(totals)
    signs = np.ones(len(rows), dtype=np.int64)
    sums, classes = outcome_tables(rows, signs, references, "", segments, pane_ns)
    return fields, counted, sum_outcomes(sums, classes, counted)


def single_values(fields: pa.Table) -> list[ValueCount]:
    """Return new and frequent values of profiles as `sum_profiles` takes them."""
    if not fields.num_rows:
        return []
    return [
        ValueCount(row["version"], row["segment"], row["field"], kind, key, count)
        for row in fields.select(["version", "segment", "field", "new", "heavy"]).to_pylist()
        for kind in ("new", "heavy")
        for key, count in row[kind]
    ]
