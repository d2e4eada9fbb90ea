"""Tables (pandas, polars, NumPy, Arrow, dicts) read as columns of plain lists, without importing those libraries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from otel_mlmon.wire.columns import ABSENT, is_nan

_ALLOWED: Final = (
    "allowed are a pandas DataFrame, a 2-D NumPy array, an Arrow table, a list of dicts, a dict of columns"
)


# Features that could not be read: the prediction is counted as lost, not recorded without features.
UNREAD: Final = object()


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """Columns of `rows` plain Python values each, by name."""

    rows: int
    columns: dict[str, list[Any]]


def as_mapping(value: Any) -> Any:
    """Return the mapping behind a pydantic model or a data class; any other value as it is."""
    if isinstance(value, Mapping):
        return value
    dump = getattr(type(value), "model_dump", None)
    if callable(dump):
        return dump(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value


def is_tabular(value: Any) -> bool:
    """Return whether `value` holds many predictions: a data frame, an Arrow table, a 2-D array, a list of dicts."""
    if hasattr(value, "iloc") or hasattr(value, "to_pydict") or hasattr(value, "__arrow_c_stream__"):
        return getattr(value, "ndim", 2) == 2
    if getattr(value, "ndim", 0) == 2:
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


class Source:
    """A table of `rows` rows; a view of `data` unless `copy`.

    Raises TypeError when `data` is no table, ValueError when columns do not fit together.
    """

    def __init__(self, data: Any, feature_names: Sequence[str] | None = None, *, copy: bool = False) -> None:
        self._feature_names = feature_names
        if hasattr(data, "__arrow_c_stream__") and not hasattr(data, "to_pydict") and not hasattr(data, "iloc"):
            data = _from_capsule(data)
        if isinstance(data, Mapping):
            data = {str(name): listed(values) for name, values in data.items()}
            lengths = {name: len(values) for name, values in data.items()}
            if len(set(lengths.values())) > 1:
                raise ValueError(f"columns have different lengths: {lengths}")
            self.rows = max(lengths.values(), default=0)
        elif isinstance(data, (list, tuple)) and not all(isinstance(row, Mapping) for row in data):
            raise TypeError("found a list whose elements are not all mappings; allowed is a list of dicts")
        elif not hasattr(data, "__len__"):
            raise TypeError(f"found {type(data).__name__}; {_ALLOWED}")
        else:
            self.rows = len(data)
        self._data = _columns(data, 0, self.rows, feature_names) if copy else data

    def frames(self, max_rows: int) -> Iterator[tuple[int, Frame]]:
        """The table in frames of up to `max_rows`, each with the number of its first row."""
        for start in range(0, self.rows, max_rows):
            stop = min(self.rows, start + max_rows)
            yield start, Frame(stop - start, _columns(self._data, start, stop, self._feature_names))


def _columns(data: Any, start: int, stop: int, feature_names: Sequence[str] | None) -> dict[str, list[Any]]:
    if isinstance(data, Mapping):
        return {name: values[start:stop] for name, values in data.items()}
    if isinstance(data, (list, tuple)):
        part = data[start:stop]
        names = dict.fromkeys(name for row in part for name in row)
        return {str(name): [row.get(name, ABSENT) for row in part] for name in names}
    if hasattr(data, "iloc"):
        part = data.iloc[start:stop]
        return {str(name): listed(part.iloc[:, index]) for index, name in enumerate(part.columns)}
    if hasattr(data, "to_pydict"):
        found: dict[str, list[Any]] = data.slice(start, stop - start).to_pydict()
        return found
    if getattr(data, "ndim", 0) == 2:
        width = data.shape[1]
        names_of = [f"x{index}" for index in range(width)] if feature_names is None else [str(n) for n in feature_names]
        if len(names_of) != width:
            raise ValueError(f"feature_names: found {len(names_of)} names for an array of {width} columns")
        return {name: data[start:stop, index].tolist() for index, name in enumerate(names_of)}
    raise TypeError(f"found {type(data).__name__}; {_ALLOWED}")


def listed(values: Any) -> list[Any]:
    """Return a column as a list of plain values; an array of one column counts as a column."""
    if isinstance(values, (list, tuple)):
        return list(values)
    if isinstance(values, (str, bytes, Mapping)) or not hasattr(values, "__len__"):
        raise TypeError(f"found {type(values).__name__} where a column of values is needed")
    if getattr(values, "ndim", 1) == 2:
        values = values.to_numpy() if hasattr(values, "iloc") else values
        return values.ravel().tolist() if values.shape[1] == 1 else list(values.tolist())
    for method in ("tolist", "to_pylist", "to_list"):
        if hasattr(values, method):
            return _with_nulls(values, list(getattr(values, method)()))
    return list(values)


def _with_nulls(values: Any, plain: list[Any]) -> list[Any]:
    # pandas stores a missing text or category as NaN: read it as null. In a numeric column NaN stays NaN.
    if getattr(getattr(values, "dtype", None), "name", "") in {"str", "string", "category"}:
        return [None if is_nan(value) else value for value in plain]
    return plain


def _from_capsule(data: Any) -> dict[str, list[Any]]:
    import nanoarrow as na

    table = na.ArrayStream(data).read_all()
    names = [field.name for field in table.schema.fields]
    return {str(name): list(table.child(index).iter_py()) for index, name in enumerate(names)}
