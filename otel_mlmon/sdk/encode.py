"""Encode a table as one Arrow IPC stream, with nanoarrow."""

from __future__ import annotations

import io
from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import nanoarrow as na
from nanoarrow.ipc import StreamWriter

from otel_mlmon.sdk.table import Table
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT, Column, column, json_text

_SCHEMA: Final = {
    "int": na.c_schema(na.int64()),
    "float": na.c_schema(na.float64()),
    "string": na.c_schema(na.string()),
    "bool": na.c_schema(na.bool_()),
    "int32": na.c_schema(na.int32()),
}
_ARRAY_CODE: Final = {"int": "q", "float": "d", "int32": "i"}


def encode(table: Table) -> bytes:
    """Encode `table` with the columns that semconv declares. Raises if a value has no representation."""
    names: list[str] = []
    types: list[str] = []
    children: list[Any] = []

    def put(name: str, kind: str, values: Sequence[Any]) -> None:
        names.append(_utf8(name))
        types.append(kind)
        children.append(_arrow(kind, values))

    if not any(name.startswith(semconv.COLUMN_KEY_PREFIX) for name in table.fields):
        put(semconv.COLUMN_ID, "string", table.ids)
    put(semconv.COLUMN_TIME, "int", table.times)
    if table.durations is not None:
        put(semconv.COLUMN_DURATION, "float", table.durations)
    for name, texts in table.texts.items():
        put(name, "string", texts)
    if table.lost is not None:
        put(semconv.COLUMN_LOST, "int32", table.lost)
    for name, values in table.fields.items():
        cells = _score_column(values) if name.startswith(semconv.COLUMN_SCORE_PREFIX) else column(values)
        put(name, cells.type, cells.values)
        if cells.absent is not None:
            put(semconv.COLUMN_ABSENT_PREFIX + name, "bool", cells.absent)
        if cells.other is not None:
            put(semconv.COLUMN_OTHER_PREFIX + name, "string", cells.other)
    batch = na.c_array_from_buffers(
        _struct(tuple(names), tuple(types)), len(table), [None], children=children, validation_level="none", move=True
    )
    out = io.BytesIO()
    StreamWriter.from_writable(out).serialize_stream(batch)
    return out.getvalue()


@lru_cache(maxsize=64)  # a schema takes as long to build as a column of 1,000 rows, and a model's schema rarely changes
def _struct(names: tuple[str, ...], types: tuple[str, ...]) -> Any:
    if len(set(names)) != len(names):  # for instance features 1 and "1"
        raise ValueError("two features of one batch have the same name as text")
    return na.c_schema(na.struct({name: _SCHEMA[kind] for name, kind in zip(names, types, strict=True)}))


def _arrow(kind: str, values: Sequence[Any]) -> Any:
    size = len(values)
    if kind == "string":
        if not any(values) and all(value is None for value in values):  # the usual case: no trace, no error
            return na.c_array_from_buffers(
                _SCHEMA[kind], size, [bytes(size // 8 + 1), bytes(4 * (size + 1)), b""], null_count=size
            )
        try:
            return na.c_array(values, _SCHEMA[kind])
        except ValueError:  # lone surrogates, which UTF-8 cannot hold
            return na.c_array([None if value is None else _utf8(value) for value in values], _SCHEMA[kind])
    if kind == "bool" or None in values:
        return na.c_array(values, _SCHEMA[kind])
    # Without nulls, an array.array is three times as fast as the iterable.
    return na.c_array_from_buffers(_SCHEMA[kind], size, [None, array(_ARRAY_CODE[kind], values)], null_count=0)


def _score_column(values: list[Any]) -> Column:
    """Make a score's column, always float64: ints become floats; other types go to the `other` column."""
    cells = column([float(value) if type(value) is int else value for value in values])
    if cells.type == "float":
        return cells
    other = [
        text if text is not None or value is None else json_text(value)
        for text, value in zip(cells.other or [None] * len(values), cells.values, strict=True)
    ]
    absent = [value is ABSENT for value in values]
    return Column("float", [None] * len(values), absent if any(absent) else None, other)


def _utf8(text: str) -> str:
    """Write lone surrogates of `text` as backslash escapes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text
