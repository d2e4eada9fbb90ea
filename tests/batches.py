"""Make the batches of decoding from rows, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from otel_mlmon.ingest.decode.assemble import field_column
from otel_mlmon.values import GroundTruthBatch, PredictionBatch
from otel_mlmon.wire.columns import column, to_columns
from otel_mlmon.wire.semconv import FIELD_PREDICTION

SECOND = 10**9


def predictions(
    rows: Sequence[Mapping[str, Any]],
    values: Sequence[Any] | None = None,
    *,
    ids: Sequence[str] | None = None,
    times: Sequence[int] | None = None,
    model: str = "m",
    version: str = "v1",
    lost: Sequence[int] | None = None,
    segments: Mapping[str, Sequence[str | None]] | None = None,
    dropped: int = 0,
) -> PredictionBatch:
    """Make predictions; default times are one second apart, default ids are positions."""
    n = len(rows)
    fields = {name: field_column(c) for name, c in to_columns(rows).items()}
    if values is not None:
        fields[FIELD_PREDICTION] = field_column(column(list(values)))
    return PredictionBatch(
        model=model,
        version=version,
        ids=pa.array(ids or [f"id-{i}" for i in range(n)], pa.string()),
        times=pa.array(times if times is not None else [i * SECOND for i in range(n)], pa.int64()),
        fields=fields,
        segments={key: pa.array(texts, pa.string()) for key, texts in (segments or {}).items()},
        durations=pa.nulls(n, pa.float64()),
        trace_ids=pa.nulls(n, pa.string()),
        span_ids=pa.nulls(n, pa.string()),
        error_types=pa.nulls(n, pa.string()),
        lost=pa.array(lost or [0] * n, pa.int32()),
        dropped=dropped,
    )


def ground_truth(
    ids: Sequence[str], values: Sequence[Any], *, times: Sequence[int] | None = None, model: str = "m"
) -> GroundTruthBatch:
    """Make ground truths; by default they are known at once."""
    return GroundTruthBatch(
        model,
        pa.array(ids, pa.string()),
        pa.array(times if times is not None else [SECOND] * len(ids), pa.int64()),
        field_column(column(list(values))),
    )
