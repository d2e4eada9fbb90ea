"""References made of data frames, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.values import Reference


def reference_of(frame: pd.DataFrame, model: str = "m", **columns: Any) -> Reference:
    """Make a reference of the frame's rows; `columns` as in `Columns`."""
    where = Columns(**columns)
    rows = rows_of(Path("frame"), pa.Table.from_pandas(frame, preserve_index=False), where, model, "1")
    return create_reference(
        rows, name="training", version="1", segments=where.segments, source="frame", created="2026-01-01T00:00:00+00:00"
    )
