"""The state of each cell as one letter: a row's `_states` has a letter per field, at the field's position.

A column holds a value only if the type fits. The letter tells apart empty cells: null, absent, cut off by a limit, or a
value of another type. A position beyond the end of the string means absent, so that rows read right that are older than
a field.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.values import FieldColumn, State
from otel_mlmon.wire.columns import json_text, json_type

_EXACT: Final = 2**53  # integers up to here are exact in a DOUBLE column

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Cells:
    """One field of a batch, ready for its stored column."""

    values: pa.Array
    states: Bytes
    other_rows: npt.NDArray[np.int64]
    other_texts: list[str]


def stored_type(column: FieldColumn) -> str:
    """The type of stored column that suits this column: number, string or bool; "" while there is no value."""
    return "" if column.values.null_count == len(column.values) else _kind(column.values.type)


def _kind(type_: pa.DataType) -> str:
    if pa.types.is_boolean(type_):
        return "bool"
    return "string" if pa.types.is_string(type_) else "number"


def cells(column: FieldColumn, stored: str, lost: npt.NDArray[np.bool_]) -> Cells:
    """Split a column into values that fit `stored`, letters, and the values of other types."""
    values, n = column.values, len(column.values)
    fits = _kind(values.type) == stored
    states = np.full(n, _letter(values.type), dtype=np.uint8)
    valid = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False), dtype=bool)
    states[~valid] = State.NULL
    other: dict[int, str] = {}
    if not fits:
        moved, values = np.flatnonzero(valid), pa.nulls(n, _ARROW.get(stored, pa.null()))
        other.update((int(row), json_text(column.values[int(row)].as_py())) for row in moved)
    elif stored == "number":
        values, big = _as_double(values)
        other.update(big)
    if column.absent is not None:
        states[np.asarray(column.absent.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)] = State.ABSENT
    if column.other is not None:
        rows = np.flatnonzero(pc.is_valid(column.other).to_numpy(zero_copy_only=False))
        other.update((int(row), canonical(column.other[int(row)].as_py())) for row in rows)
    if stored == "number" and other:
        values = _take_numbers(values, states, other)
    if other:
        states[list(other)] = State.OTHER
    states[lost & ((states == State.NULL) | (states == State.ABSENT))] = State.LOST
    return Cells(values, states, np.fromiter(other, dtype=np.int64, count=len(other)), list(other.values()))


_ARROW: Final = {"number": pa.float64(), "string": pa.string(), "bool": pa.bool_()}


def _letter(type_: pa.DataType) -> int:
    if pa.types.is_integer(type_):
        return State.INT
    if pa.types.is_boolean(type_):
        return State.BOOL
    return State.STRING if pa.types.is_string(type_) else State.FLOAT


def canonical(text: str) -> str:
    """Return JSON text in one spelling. Text that is no JSON counts as a string. Later stages rely on it."""
    try:
        plain = json_text(json.loads(text))
    except (ValueError, RecursionError):
        plain = json_text(text)
    return plain.encode(errors="replace").decode()  # half a surrogate pair is legal only in JSON


def _as_double(values: pa.Array) -> tuple[pa.Array, dict[int, str]]:
    """Return integers as doubles, and by row those that a double cannot hold."""
    if not pa.types.is_integer(values.type):
        return values.cast(pa.float64()), {}
    plain = values.fill_null(0).to_numpy(zero_copy_only=False)
    big = np.flatnonzero((plain > _EXACT) | (plain < -_EXACT))
    if not len(big):
        return values.cast(pa.float64()), {}
    mask = np.zeros(len(values), dtype=bool)
    mask[big] = True
    kept = pc.if_else(pa.array(mask), pa.scalar(None, values.type), values)
    return kept.cast(pa.float64()), {int(row): str(plain[row]) for row in big}


def _take_numbers(values: pa.Array, states: Bytes, other: dict[int, str]) -> pa.Array:
    """Move the numbers that a double holds exactly from `other` into the column, each with its own state."""
    numbers = {
        row: (State.INT if kind == "int" else State.FLOAT, float(text))
        for row, text in other.items()
        if (kind := json_type(text)) == "float" or (kind == "int" and abs(int(text)) <= _EXACT)
    }
    if not numbers:
        return values
    valid = pc.is_valid(values).to_numpy(zero_copy_only=False).copy()
    plain = np.asarray(values.fill_null(0.0).to_numpy(zero_copy_only=False), dtype=np.float64).copy()
    for row, (letter, number) in numbers.items():
        plain[row], states[row], valid[row] = number, letter, True
        del other[row]
    return pa.array(plain, mask=~valid)


def strings(matrix: Bytes) -> pa.Array:
    """Rows of letters as an Arrow string column."""
    n, width = matrix.shape
    offsets = np.arange(0, (n + 1) * width, max(width, 1), dtype=np.int32) if width else np.zeros(n + 1, np.int32)
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(matrix)))


def matrix(column: pa.ChunkedArray, width: int) -> Bytes:
    """Letters of a string column as rows × fields; shorter rows are filled with ABSENT."""
    array = column.cast(pa.string()).combine_chunks()
    out = np.full((len(array), width), State.ABSENT, dtype=np.uint8)
    if not len(array) or not width:
        return out
    buffers = array.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] is not None else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        take = min(int(length), width)
        if take:
            out[rows, :take] = data[offsets[rows][:, None] + np.arange(take)]
    return out
