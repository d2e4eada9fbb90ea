"""Assemble single records into batches: columns per model, version and origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from otel_mlmon.ingest.decode.single import GroundTruthRow, PredictionRow
from otel_mlmon.values import FieldColumn, GroundTruthBatch, PredictionBatch
from otel_mlmon.wire.columns import Column, column, to_columns

_ARROW: Final = {"int": pa.int64(), "float": pa.float64(), "string": pa.string(), "bool": pa.bool_()}


def prediction_batches(rows: Sequence[PredictionRow]) -> list[PredictionBatch]:
    """Make a batch for each model, version and origin."""
    groups: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[PredictionRow]] = {}
    for row in rows:
        groups.setdefault((row.model, row.version, row.origin), []).append(row)
    return [_predictions(*key, group) for key, group in groups.items()]


def ground_truth_batches(rows: Sequence[GroundTruthRow]) -> list[GroundTruthBatch]:
    """Make a batch for each model and set of key features; the rows of a batch keep their order."""
    groups: dict[tuple[str, tuple[str, ...]], list[GroundTruthRow]] = {}
    for row in rows:
        groups.setdefault((row.model, tuple(sorted(row.keys))), []).append(row)
    return [
        GroundTruthBatch(
            model,
            pa.array([row.id for row in group], pa.string()),
            pa.array([row.time for row in group], pa.int64()),
            field_column(column([row.value for row in group])),
            {name: field_column(column([row.keys[name] for row in group])) for name in names},
        )
        for (model, names), group in groups.items()
    ]


def _predictions(
    model: str, version: str, origin: tuple[tuple[str, str], ...], rows: list[PredictionRow]
) -> PredictionBatch:
    keys = dict.fromkeys(key for row in rows for key in row.segments)
    return PredictionBatch(
        model=model,
        version=version,
        ids=pa.array([row.id for row in rows], pa.string()),
        times=pa.array([row.time for row in rows], pa.int64()),
        fields={name: field_column(c) for name, c in to_columns([row.fields for row in rows]).items()},
        segments={key: pa.array([row.segments.get(key) for row in rows], pa.string()) for key in keys},
        durations=pa.array([row.duration for row in rows], pa.float64()),
        trace_ids=pa.array([row.trace_id for row in rows], pa.string()),
        span_ids=pa.array([row.span_id for row in rows], pa.string()),
        error_types=pa.array([row.error_type for row in rows], pa.string()),
        lost=pa.array([row.lost for row in rows], pa.int32()),
        origin=dict(origin),
    )


def field_column(values: Column) -> FieldColumn:
    """Convert a column to Arrow. Only None becomes null; NaN stays NaN."""
    cells: list[Any] = values.values
    if values.absent is not None:
        cells = [None if absent else value for value, absent in zip(cells, values.absent, strict=True)]
    return FieldColumn(
        pa.array(cells, _ARROW[values.type], from_pandas=False),
        None if values.absent is None else pa.array(values.absent, pa.bool_()),
        None if values.other is None else pa.array(values.other, pa.string()),
    )
