"""Decode the batch events: the record's body is an Arrow IPC stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.ingest.decode.reject import (
    BAD_BATCH,
    MOST_ROWS,
    NO_KEY,
    NO_MODEL_NAME,
    UNKNOWN_ENCODING,
    RejectedRecord,
)
from otel_mlmon.values import FieldColumn, GroundTruthBatch, PredictionBatch
from otel_mlmon.wire import semconv

_OPTIONAL: Final[dict[str, tuple[str, pa.DataType]]] = {
    "durations": (semconv.COLUMN_DURATION, pa.float64()),
    "trace_ids": (semconv.COLUMN_TRACE_ID, pa.string()),
    "span_ids": (semconv.COLUMN_SPAN_ID, pa.string()),
    "error_types": (semconv.COLUMN_ERROR_TYPE, pa.string()),
}


def prediction_batch(
    attributes: Mapping[str, Any], body: Any, origin: Mapping[str, str] | None = None
) -> PredictionBatch:
    """Decode a batch of predictions. Raises RejectedRecord with the reason."""
    model, table = _open(attributes, body)
    n = table.num_rows
    optional = {
        name: _cast(table, column, type_) if column in table.column_names else pa.nulls(n, type_)
        for name, (column, type_) in _OPTIONAL.items()
    }
    lost = _cast(table, semconv.COLUMN_LOST, pa.int32()) if semconv.COLUMN_LOST in table.column_names else None
    version = attributes.get(semconv.MODEL_VERSION)
    dropped = attributes.get(semconv.BATCH_DROPPED)
    return PredictionBatch(
        model=model,
        version=semconv.VERSION_UNKNOWN if version is None else str(version),
        ids=_ids(table),
        times=_required(table, semconv.COLUMN_TIME, pa.int64()),
        fields={name: _field(table, column) for name, column in _fields(table).items()},
        segments={
            name.removeprefix(semconv.COLUMN_SEGMENT_PREFIX): _cast(table, name, pa.string())
            for name in table.column_names
            if name.startswith(semconv.COLUMN_SEGMENT_PREFIX)
        },
        lost=pa.array([0] * n, pa.int32()) if lost is None else lost.fill_null(0),
        dropped=dropped if isinstance(dropped, int) and not isinstance(dropped, bool) and dropped > 0 else 0,
        origin=origin or {},
        **optional,
    )


def ground_truth_batch(attributes: Mapping[str, Any], body: Any) -> GroundTruthBatch:
    """Decode a batch of ground truths. Raises RejectedRecord with the reason."""
    model, table = _open(attributes, body)
    if semconv.COLUMN_GROUND_TRUTH not in table.column_names:
        raise _bad(table.num_rows, f"no column {semconv.COLUMN_GROUND_TRUTH!r}; found {_names(table)}")
    keys = {} if semconv.COLUMN_ID in table.column_names else _keys(table)
    return GroundTruthBatch(
        model,
        pa.array([""] * table.num_rows, pa.string()) if keys else _ids(table),
        _required(table, semconv.COLUMN_TIME, pa.int64()),
        _field(table, semconv.COLUMN_GROUND_TRUTH),
        keys,
    )


def _keys(table: pa.Table) -> dict[str, FieldColumn]:
    """Return the key columns by feature, for a batch without prediction ids."""
    prefix, other = semconv.COLUMN_KEY_PREFIX, f"{semconv.COLUMN_OTHER_PREFIX}{semconv.COLUMN_KEY_PREFIX}"
    names = dict.fromkeys(
        name.removeprefix(semconv.COLUMN_OTHER_PREFIX)
        for name in table.column_names
        if name.startswith((prefix, other))
    )
    keys = {name.removeprefix(prefix): _field(table, name) for name in names}
    for name, column in keys.items():
        valid = pc.is_valid(column.values)
        if column.other is not None:
            valid = pc.or_(valid, pc.is_valid(column.other))
        missing = len(valid) - int(pc.sum(valid).as_py() or 0)
        if missing:
            raise RejectedRecord(
                NO_KEY, f"column {prefix + name!r} has {missing} nulls; each row needs a value", table.num_rows
            )
    return keys


def _open(attributes: Mapping[str, Any], body: Any) -> tuple[str, pa.Table]:
    size = attributes.get(semconv.BATCH_SIZE)
    rows = size if isinstance(size, int) and not isinstance(size, bool) and size > 0 else 1
    model = attributes.get(semconv.MODEL_NAME)
    if not isinstance(model, str) or not model:
        raise RejectedRecord(NO_MODEL_NAME, f"a batch without {semconv.MODEL_NAME}", rows)
    encoding = attributes.get(semconv.BATCH_ENCODING)
    if encoding != semconv.ENCODING_ARROW:
        raise RejectedRecord(
            UNKNOWN_ENCODING, f"{semconv.BATCH_ENCODING} is {encoding!r}; allowed is {semconv.ENCODING_ARROW!r}", rows
        )
    if not isinstance(body, bytes):
        raise _bad(rows, f"the body is of type {type(body).__name__}; allowed are bytes")
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _bad(rows, f"the body is no Arrow IPC stream: {error}") from error
    if table.num_rows > MOST_ROWS:
        raise _bad(table.num_rows, f"the batch has {table.num_rows} rows; allowed are {MOST_ROWS}")
    if len(set(table.column_names)) != len(table.column_names):
        raise _bad(table.num_rows, f"a column comes twice; found {_names(table)}")
    if semconv.BATCH_SIZE in attributes and size != table.num_rows:
        raise _bad(rows, f"{semconv.BATCH_SIZE} says {size} rows, the batch has {table.num_rows}")
    return model, table


def _fields(table: pa.Table) -> dict[str, str]:
    """Return the column name of each field. A field may have a companion column only."""
    columns: dict[str, str] = {}
    for full in table.column_names:
        companion = full.startswith((semconv.COLUMN_ABSENT_PREFIX, semconv.COLUMN_OTHER_PREFIX))
        name = full.partition(".")[2] if companion else full
        if name == semconv.COLUMN_PREDICTION:
            columns[semconv.FIELD_PREDICTION] = name
        elif name == semconv.COLUMN_SHADOW:
            columns[semconv.FIELD_SHADOW] = name
        elif name.startswith(semconv.COLUMN_FEATURE_PREFIX):
            columns[name.removeprefix(semconv.COLUMN_FEATURE_PREFIX)] = name
        elif name.startswith(semconv.COLUMN_SCORE_PREFIX):
            columns[semconv.score_field(name.removeprefix(semconv.COLUMN_SCORE_PREFIX))] = name
    return columns


def _field(table: pa.Table, name: str) -> FieldColumn:
    absent, other = f"{semconv.COLUMN_ABSENT_PREFIX}{name}", f"{semconv.COLUMN_OTHER_PREFIX}{name}"
    return FieldColumn(
        _values(table, name) if name in table.column_names else pa.nulls(table.num_rows, pa.float64()),
        _cast(table, absent, pa.bool_()) if absent in table.column_names else None,
        _cast(table, other, pa.string()) if other in table.column_names else None,
    )


def _values(table: pa.Table, name: str) -> pa.Array:
    type_ = table.schema.field(name).type
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if pa.types.is_boolean(type_):
        return _cast(table, name, pa.bool_())
    if pa.types.is_integer(type_):
        return _cast(table, name, pa.int64())
    if pa.types.is_floating(type_) or pa.types.is_null(type_) or pa.types.is_decimal(type_):
        return _cast(table, name, pa.float64())
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_):
        return _cast(table, name, pa.string())
    raise _bad(table.num_rows, f"column {name!r} has type {type_}; allowed are integers, floats, strings and booleans")


def _ids(table: pa.Table) -> pa.Array:
    ids = _required(table, semconv.COLUMN_ID, pa.string())
    empty = int(pc.sum(pc.equal(ids, "")).as_py() or 0)
    if empty:  # they would count as the same prediction
        raise _bad(table.num_rows, f"column {semconv.COLUMN_ID!r} has {empty} empty texts; each row needs its own id")
    return ids


def _required(table: pa.Table, name: str, type_: pa.DataType) -> pa.Array:
    if name not in table.column_names:
        raise _bad(table.num_rows, f"no column {name!r}; found {_names(table)}")
    values = _cast(table, name, type_)
    if values.null_count:
        raise _bad(table.num_rows, f"column {name!r} has {values.null_count} nulls; each row needs a value")
    return values


def _cast(table: pa.Table, name: str, type_: pa.DataType) -> pa.Array:
    column = table[name]
    try:
        if pa.types.is_timestamp(column.type) and type_ == pa.int64():
            column = column.cast(pa.timestamp("ns", tz=column.type.tz))
        cast = pc.cast(column, type_)
    except pa.ArrowException as error:
        raise _bad(table.num_rows, f"column {name!r} has type {column.type}; allowed is {type_}: {error}") from error
    return pa.concat_arrays(cast.chunks) if cast.num_chunks else pa.array([], type_)


def _bad(rows: int, message: str) -> RejectedRecord:
    return RejectedRecord(BAD_BATCH, message, rows)


def _names(table: pa.Table) -> str:
    return ", ".join(map(repr, table.column_names)) or "no columns"
