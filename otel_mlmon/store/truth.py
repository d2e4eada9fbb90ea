"""Ground truth as the store keeps it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa

from otel_mlmon.store import states
from otel_mlmon.values import FieldColumn
from otel_mlmon.wire.columns import is_nan, json_text, number_text


def plain_values(column: FieldColumn) -> list[Any]:
    """A column's values, with those of other types."""
    values: list[Any] = column.values.to_pylist()
    if column.other is None:
        return values
    others = column.other.to_pylist()
    return [
        v if v is not None or o is None else json.loads(states.canonical(o))
        for v, o in zip(values, others, strict=True)
    ]


def truth_columns(column: FieldColumn) -> dict[str, pa.Array]:
    """Ground truth as numbers where possible, and as names of classes; both null for null and NaN."""
    truths = [_truth(value) for value in plain_values(column)]
    return {
        "number": pa.array([number for number, _ in truths], pa.float64()),
        "text": pa.array([text for _, text in truths], pa.string()),
    }


def constant(value: int, n: int) -> pa.Array:
    """The same number in each row."""
    return pa.array(np.full(n, value, dtype=np.int64))


def _truth(value: Any) -> tuple[float | None, str | None]:
    """Return (number, name); 1 and 1.0 are the same class."""
    if value is None or is_nan(value):
        return None, None
    if isinstance(value, str):
        return None, value
    if isinstance(value, (int, float)):
        return float(value), json_text(value) if isinstance(value, bool) else number_text(value)
    return None, json_text(value)
