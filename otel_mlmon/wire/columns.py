"""Turn rows into columns that keep absent, null, NaN, `1`, `1.0`, `"1"` and `True` apart.

The SDK uses this before it encodes a batch, the processor for single records. Standard library only.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final, Literal

ColumnType = Literal["int", "float", "string", "bool"]

_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1
_EXACT: Final = 2**53  # whole numbers up to here are exact as floats
_TYPE_OF: Final[dict[type, ColumnType]] = {int: "int", float: "float", str: "string", bool: "bool"}


class _Absent:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Column:
    """Values of one field, row by row.

    `values[i]` is None if the value is null, absent or of another type. `absent[i]` is True if it is absent. `other[i]`
    is its JSON text if it is of another type. `absent` and `other` are None when no row needs them.
    """

    type: ColumnType
    values: list[Any]
    absent: list[bool] | None = None
    other: list[str | None] | None = None


def to_columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """Make a column for each key of `rows`, in order of first appearance."""
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    return {str(name): column([row.get(name, ABSENT) for row in rows]) for name in names}


def column(values: list[Any]) -> Column:
    """Make one column; its type is the most frequent type of the values."""
    kinds = set(map(type, values))
    present = kinds - {type(None)}
    if len(present) == 1:  # the usual case: one type, perhaps with nulls
        only = _TYPE_OF.get(next(iter(present)))
        if only is not None and (only != "int" or _all_int64(values)):
            return Column(only, values)
    return _mixed([value if type(value) in _PLAIN else _plain(value) for value in values])


_PLAIN: Final = frozenset({int, float, str, bool, type(None), _Absent})


def _all_int64(values: list[Any]) -> bool:
    numbers = [value for value in values if value is not None]
    return not numbers or (min(numbers) >= _INT64_MIN and max(numbers) <= _INT64_MAX)


def _plain(value: Any) -> Any:
    """Return the plain Python value of a NumPy scalar, an enum, a subclass of str or the like."""
    if type(value).__name__ in {"NAType", "NaTType"}:  # pandas' own nulls; the second is a datetime as well
        return None
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return _plain(item())
    tolist = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value


def _mixed(values: list[Any]) -> Column:
    kinds = [_column_type(value) for value in values]
    counted = Counter(kind for kind in kinds if kind is not None)
    main: ColumnType = counted.most_common(1)[0][0] if counted else "float"
    kept = [value if kind == main else None for value, kind in zip(values, kinds, strict=True)]
    absent = [value is ABSENT for value in values]
    other = [
        None if value is None or value is ABSENT or kind == main else json_text(value)
        for value, kind in zip(values, kinds, strict=True)
    ]
    return Column(main, kept, absent if any(absent) else None, other if any(other) else None)


def _column_type(value: Any) -> ColumnType | None:
    kind = _TYPE_OF.get(type(value))
    if kind == "int" and not _INT64_MIN <= value <= _INT64_MAX:
        return None
    return kind


def json_text(value: Any) -> str:
    """Write any value as JSON text: NaN and infinities as NaN, Infinity, -Infinity; unknown objects as their text."""
    return json.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))


ValueType = Literal["int", "float", "string", "bool", "array", "map", "null"]
_TYPES: Final[dict[str, ValueType]] = {'"': "string", "t": "bool", "f": "bool", "[": "array", "{": "map", "n": "null"}


def json_type(text: str) -> ValueType:
    """Return the type of the value behind the text that `json_text` wrote.

    >>> [json_type(t) for t in ['1', '1.0', '"1"', 'true', '[1]', '{}', 'NaN', '-Infinity', '10000000000000000000']]
    ['int', 'float', 'string', 'bool', 'array', 'map', 'float', 'float', 'int']
    """
    return _TYPES.get(text[:1]) or ("int" if text.lstrip("-").isdigit() else "float")


def number_text(value: float) -> str:
    """Write a finite number as JSON text; equal numbers of all types get the same text.

    >>> [number_text(v) for v in [1, 1.0, -0.0, 0.1, 1234567.0, 1e300]]
    ['1', '1', '0', '0.1', '1234567', '1e+300']
    """
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) <= _EXACT else repr(number)


def is_nan(value: Any) -> bool:
    """Whether `value` is a float NaN."""
    return isinstance(value, float) and math.isnan(value)
