"""Read a CSV or Parquet file as the rows of a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from otel_mlmon.errors import BadReference
from otel_mlmon.values import FieldCells, RowBlock, Texts
from otel_mlmon.values.cells import ValueType, named
from otel_mlmon.wire.columns import number_text
from otel_mlmon.wire.semconv import FIELD_PREDICTION, score_field


@dataclass(frozen=True, slots=True)
class Columns:
    """Roles of the file's columns. Empty `features`: all columns without another role. `scores`: (class, column)."""

    prediction: str = ""
    ground_truth: str = ""
    features: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    scores: tuple[tuple[str, str], ...] = ()


def read_table(path: Path) -> pa.Table:
    """Read a .csv (also .csv.gz) or .parquet file. Raises BadReference if the file cannot be read."""
    if not path.exists():
        raise BadReference(f"{path}: no such file")
    try:
        if path.suffix in (".parquet", ".pq"):
            return pa.parquet.read_table(path)
        if path.suffix in (".csv", ".gz"):
            options = pa.csv.ConvertOptions(strings_can_be_null=False)
            return pa.csv.read_csv(path, convert_options=options)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadReference(f"{path}: cannot be read: {error}") from error
    raise BadReference(
        f"{path}: found a file ending in {path.suffix or 'nothing'!r}; allowed are .csv, .csv.gz, .parquet"
    )


def check_columns(path: Path, table: pa.Table, wanted: Sequence[str]) -> None:
    """Raise BadReference if a column of `wanted` is missing, or the file has two columns of one name."""
    repeated = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
    if repeated:
        raise BadReference(f"{path}: more than one column is called {', '.join(map(repr, repeated))}")
    for name in wanted:
        if name and name not in table.column_names:
            raise BadReference(f"{path}: no column {name!r}; the file has {', '.join(map(repr, table.column_names))}")


def rows_of(path: Path, table: pa.Table, columns: Columns, model: str, version: str) -> RowBlock:
    """Convert the table to rows of a model, all at time 0. Raises BadReference for missing or unusable columns."""
    scores = [column for _, column in columns.scores]
    wanted = [columns.prediction, columns.ground_truth, *columns.features, *columns.exclude, *columns.segments, *scores]
    check_columns(path, table, wanted)
    n = table.num_rows
    if n == 0:
        raise BadReference(f"{path}: the file has no rows")
    others = {columns.prediction, columns.ground_truth, *columns.exclude, *scores}
    features = columns.features or tuple(name for name in table.column_names if name not in others)
    for name in filter(None, (*features, columns.prediction, columns.ground_truth, *columns.segments)):
        if not _usable(table[name].type):
            type_ = table[name].type
            raise BadReference(f"{path}: column {name!r} has type {type_}, which is no plain value; exclude it")
    fields = {name: cells_of(table[name]) for name in features}
    if columns.prediction:
        fields[FIELD_PREDICTION] = cells_of(table[columns.prediction])
    for label, column in columns.scores:
        type_ = table[column].type
        if not (pa.types.is_floating(type_) or pa.types.is_integer(type_) or pa.types.is_decimal(type_)):
            raise BadReference(f"{path}: column {column!r} has type {type_}, which is no score; a score is a number")
        fields[score_field(label)] = cells_of(table[column])
    truth = cells_of(table[columns.ground_truth]) if columns.ground_truth else None
    known, numbers = np.zeros(n, bool), np.full(n, np.nan)
    if truth is not None:
        known = ~truth.null
        if truth.numbers is not None:
            known, numbers = known & ~np.isnan(truth.numbers), truth.numbers
    return RowBlock(
        model=model,
        times=np.zeros(n, np.int64),
        versions=Texts(np.zeros(n, np.int32), [version]),
        lost=np.zeros(n, bool),
        durations=np.full(n, np.nan),
        fields=fields,
        segments={key: _texts(table[key]) for key in columns.segments},
        truth_known=known,
        truth_times=np.zeros(n, np.int64),
        truth_numbers=numbers,
        truth_texts=_texts(table[columns.ground_truth])
        if columns.ground_truth
        else Texts(np.full(n, -1, np.int32), []),
    )


def _usable(type_: pa.DataType) -> bool:
    kind = type_.value_type if pa.types.is_dictionary(type_) else type_
    return not pa.types.is_nested(kind) and not any(
        test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    )


def cells_of(column: pa.ChunkedArray) -> FieldCells:
    """Convert a column to cells with the store's states."""
    valid = np.asarray(pc.is_valid(column).to_numpy())
    type_ = column.type
    if pa.types.is_null(type_):  # a column without values counts as numbers, as everywhere else
        column, type_ = column.cast(pa.float64()), pa.float64()
    value_type: ValueType = "string"
    numbers, texts = None, None
    if pa.types.is_boolean(type_):
        value_type, texts = "bool", _texts(column)
    elif pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        value_type = "int" if pa.types.is_integer(type_) else "float"
        numbers = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    else:
        texts = _texts(column)
    return FieldCells.of_column(value_type, valid, numbers, texts)


def _texts(column: pa.ChunkedArray) -> Texts:
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        values = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
        return named(values, ~np.isnan(values), number_text)
    encoded = pc.dictionary_encode(column.cast(pa.string()).combine_chunks())
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Texts(codes, encoded.dictionary.to_pylist())


def timestamps(column: pa.ChunkedArray, where: Path, name: str) -> npt.NDArray[np.int64]:
    """Convert timestamps, dates, ISO 8601 texts or Unix seconds to ns since the epoch. Raises BadReference."""
    type_ = column.type
    try:
        if column.null_count:
            raise BadReference(f"{where}: column {name!r} has {column.null_count} rows without a timestamp")
        if pa.types.is_integer(type_) or pa.types.is_floating(type_):
            seconds: Any = np.asarray(column.to_numpy(), dtype=np.float64)
            return np.asarray(np.round(seconds * 1e9), dtype=np.int64)
        if pa.types.is_string(type_):
            column = pc.cast(column, pa.timestamp("ns"))
        return np.asarray(column.cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy(), dtype=np.int64)
    except pa.ArrowInvalid as error:
        message = f"column {name!r} is no timestamp: found {column[0].as_py()!r}, allowed are ISO 8601 and Unix seconds"
        raise BadReference(f"{where}: {message}") from error
