"""Read a table of logged predictions as a model's history in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.reference.table import Columns, check_columns, rows_of, timestamps
from otel_mlmon.values import RowBlock, Texts


def history(
    path: Path,
    table: pa.Table,
    columns: Columns,
    *,
    timestamp: str,
    model: str,
    version: str = "",
    version_column: str = "",
    delay_ns: int = 0,
) -> RowBlock:
    """Return the rows in the order of time; their ground truth becomes known `delay_ns` later.

    Raises BadReference for missing columns and columns of another type.
    """
    check_columns(path, table, (timestamp, version_column))
    times = timestamps(table[timestamp], path, timestamp)
    features_only = replace(columns, exclude=(*columns.exclude, timestamp, *filter(None, [version_column])))
    rows = rows_of(path, table, features_only, model, version)
    if version_column:
        versions = table[version_column].cast(pa.string()).combine_chunks().dictionary_encode()
        codes = versions.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        rows = replace(rows, versions=Texts(codes, versions.dictionary.to_pylist()))
    rows = replace(rows, times=times, truth_times=times + delay_ns)
    return take(rows, np.argsort(times, kind="stable"))
