"""A block of rows as one window, without panes and without a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from otel_mlmon.values import Reference, RowBlock, WindowProfile
from otel_mlmon.window.profile import profile_panes
from otel_mlmon.window.sums import sum_profiles, sum_totals

Values = Sequence[tuple[str, str, str, str, str, int]]


def measure(
    rows: RowBlock, references: Mapping[str, Reference | None], segments: Sequence[str], start: int, end: int
) -> list[WindowProfile]:
    """Profiles by version, whole and per segment value, of rows that all lie in [start, end)."""
    one_pane = replace(rows, times=rows.times - start)
    fields, totals = profile_panes(one_pane, references, "", segments, max(end - start, 1))
    known = {v: {} if r is None else r.fields for v, r in references.items()}
    named = sum_profiles(fields, single_values(fields), known)
    return [
        WindowProfile(rows.model, version, segment, start, end, n, lost, named.get((version, segment), {}), performance)
        for (version, segment), (n, lost, performance) in sorted(sum_totals(totals).items())
    ]


def single_values(fields: pa.Table) -> Values:
    """New and frequent values of profiles that were just made, in the shape that `sum_profiles` wants them."""
    if not fields.num_rows:
        return []
    return [
        (row["version"], row["segment"], row["field"], kind, key, count)
        for row in fields.select(["version", "segment", "field", "new", "heavy"]).to_pylist()
        for kind in ("new", "heavy")
        for key, count in row[kind]
    ]
