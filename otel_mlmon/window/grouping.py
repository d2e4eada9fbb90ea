"""The rows that are counted together: one pane, version and segment. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.values import RowBlock, Texts
from otel_mlmon.window.cells import Groups


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of rows of one version: by pane, and whole (`segment` "") or by segment value."""

    version: str
    groups: Groups
    panes: npt.NDArray[np.int64]  # start of each group's pane
    segments: list[str]  # "" or "key=value" of each group


def concat(tables: list[pa.Table]) -> pa.Table:
    """Join tables into one; tables without columns are left out."""
    tables = [table for table in tables if table.num_columns]
    return pa.concat_tables(tables) if tables else pa.table({})


def groupings(
    rows: RowBlock, version: str, of_version: npt.NDArray[np.bool_], segments: Sequence[str], pane_ns: int
) -> list[Grouping]:
    """Group the rows that are `of_version`: as a whole, and by each segment key."""
    panes = rows.times // pane_ns * pane_ns
    whole = Texts(np.zeros(len(rows), np.int32), [""])
    keyed = [("", whole), *((key, rows.segments[key]) for key in segments)]
    return [_grouping(version, of_version, panes, key, texts) for key, texts in keyed]


def _grouping(
    version: str, of_version: npt.NDArray[np.bool_], panes: npt.NDArray[np.int64], key: str, texts: Texts
) -> Grouping:
    inside = of_version & (texts.codes >= 0)
    starts, pane_index = np.unique(panes[inside], return_inverse=True)
    width = max(len(texts.labels), 1)
    pairs, group = np.unique(pane_index.reshape(-1) * width + texts.codes[inside], return_inverse=True)
    groups = np.full(len(panes), -1, dtype=np.int64)
    groups[inside] = group.reshape(-1)
    of_pane, of_label = np.divmod(pairs, width)
    labels = [f"{key}={texts.labels[c]}" if key else "" for c in of_label.tolist()]
    return Grouping(version, groups, starts[of_pane] if len(pairs) else starts, labels)


def keys(model: str, reference: str, version: str, segments: list[str]) -> dict[str, pa.Array]:
    """Return the columns that identify a line in the store."""
    n = len(segments)
    return {
        "model": repeat(model, n),
        "reference": repeat(reference, n),
        "version": repeat(version, n),
        "segment": pa.array(segments, pa.string()),
    }


def repeat(text: str, n: int) -> pa.Array:
    """Return `text` n times."""
    return pa.array([text] * n, pa.string())
