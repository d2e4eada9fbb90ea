"""Decode a table of ground truth (JSON lines, CSV, Arrow, Parquet) into batches. Bad rows are rejected one by one."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Literal, TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from otel_mlmon.errors import RejectedInput
from otel_mlmon.ingest.decode.assemble import ground_truth_batches
from otel_mlmon.ingest.decode.reject import (
    BAD_TIME,
    BAD_VALUE,
    MOST_ROWS,
    NO_KEY,
    NO_MODEL_NAME,
    NO_PREDICTION_ID,
    RejectedRecord,
    Rejections,
)
from otel_mlmon.ingest.decode.single import GroundTruthRow
from otel_mlmon.values import Decoded, GroundTruthLayout
from otel_mlmon.wire.columns import json_text, number_text

Format = Literal["jsonl", "csv", "arrow", "parquet"]
_MODEL: Final = "model"  # the column that names the model, if the request does not
# A number of JSON, also with a plus or without a digit before the point. "007" stays text, so that it is not changed.
_NUMBER: Final = re.compile(r"[-+]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_WORDS: Final = {
    **dict.fromkeys(("", "null", "NaN", "nan")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 2**63 - 1
# From 1973 to 5138, seconds, ms, µs and ns since the epoch differ in size from one another and from a date like
# 20260102.
_FIRST: Final = 10**8
_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
_SUB_MICRO: Final = re.compile(r"(\.\d{6})(\d{1,3})")  # a datetime cannot hold the digits after µs
_ALLOWED: Final = "allowed are ISO 8601 (UTC unless it says otherwise) and s, ms, µs or ns since the epoch"
_INT64: Final = 2**63
_EXACT: Final = 2.0**53  # above it, a double may stand for several whole numbers

Row = dict[str, Any] | RejectedRecord
Table: TypeAlias = pa.Table | Mapping[str, Sequence[Any]]  # Arrow's, or columns of Python values


def ground_truth_table(body: bytes, format_: Format, layout: GroundTruthLayout, *, received_ns: int) -> Decoded:
    """Decode the bytes of one table. A null or NaN value withdraws an earlier ground truth.

    Raises RejectedInput if the bytes are not of that format, or lack a column that `layout` names.
    """
    if format_ == "jsonl":
        return decode_rows(_json_lines(body), layout, received_ns=received_ns)
    if format_ == "csv":
        table, broken = _csv(body)
        return decode_rows(_with(_rows(table, layout, texts=True), broken), layout, received_ns=received_ns)
    return decode_table(_arrow(body) if format_ == "arrow" else _parquet(body, layout), layout, received_ns=received_ns)


def decode_table(table: Table, layout: GroundTruthLayout, *, received_ns: int) -> Decoded:
    """Decode a table that is already in memory. Raises RejectedInput if it lacks a column that `layout` names."""
    if not isinstance(table, pa.Table):
        _check(list(table), layout)
        columns = {name: table[name] for name in _columns(layout)}
        rows = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
        return decode_rows(rows, layout, received_ns=received_ns)
    return decode_rows(_rows(table, layout, texts=False), layout, received_ns=received_ns)


def _rows(table: pa.Table, layout: GroundTruthLayout, *, texts: bool) -> Iterator[Row]:
    """Return the rows of the needed columns. `texts`: all cells are text, and `_parsed` reads their values."""
    if table.num_rows > MOST_ROWS:
        raise RejectedInput(f"the table has {table.num_rows} rows; allowed are {MOST_ROWS} in one request")
    _check(table.column_names, layout)
    columns = {name: _listed(table[name]) for name in _columns(layout)}
    if texts:  # ids stay text
        columns = {n: v if n in (layout.id, _MODEL) else list(map(_parsed, v)) for n, v in columns.items()}
    return (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))


def _check(names: Sequence[str], layout: GroundTruthLayout) -> None:
    for name in _columns(layout):
        if name not in names:
            present = ", ".join(map(repr, names)) or "no columns"
            raise RejectedInput(f"no column {name!r}; found {present}{_hint(name, layout)}")
        if names.count(name) > 1:
            raise RejectedInput(f"column {name!r} comes twice")


def _listed(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_timestamp(column.type):  # Python's datetimes have no ns
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):  # a time that Python cannot hold is an error of its row only
        values = [_text_if_out_of_range(value) for value in column]
    return values


def _text_if_out_of_range(value: pa.Scalar) -> Any:
    try:
        return value.as_py()
    except (OverflowError, ValueError):
        return "out of range"


def _with(rows: Iterator[Row], broken: Mapping[int, str]) -> Iterator[Row]:
    """Insert the unreadable rows, numbered from 1, at their places in `rows`."""
    number = 0
    for row in rows:
        while (number := number + 1) in broken:
            yield RejectedRecord(BAD_VALUE, broken[number])
        yield row
    for last in sorted(after for after in broken if after > number):
        yield RejectedRecord(BAD_VALUE, broken[last])


def decode_rows(rows: Iterator[Row], layout: GroundTruthLayout, *, received_ns: int) -> Decoded:
    """Decode rows one by one; an unreadable row is a RejectedRecord."""
    known_at = received_ns if layout.known_at is None else layout.known_at
    good: list[GroundTruthRow] = []
    rejections = Rejections()
    for number, row in enumerate(rows, start=layout.first_row):
        try:
            if isinstance(row, RejectedRecord):
                raise row
            good.append(_row(row, layout, known_at))
        except RejectedRecord as error:
            rejections.add(RejectedRecord(error.reason, f"row {number}: {error}"))
    return Decoded(tuple(ground_truth_batches(good)), dict(rejections.counts), rejections.message)


def _columns(layout: GroundTruthLayout) -> list[str]:
    """Return the required columns."""
    named = [column for _, column in layout.keys] or [layout.id]
    optional = [layout.time] if layout.time else []
    return list(dict.fromkeys([*named, layout.value, *optional, *([] if layout.model else [_MODEL])]))


def _hint(name: str, layout: GroundTruthLayout) -> str:
    if name == _MODEL and not layout.model:
        return "; name the model with ?model=NAME, or in this column"
    if name == layout.id and not layout.keys:
        return "; name the column of the prediction ids with ?id=COLUMN, or key columns with ?key=FEATURE"
    return "; name the column of the true outcomes with ?value=COLUMN" if name == layout.value else ""


def _row(row: dict[str, Any], layout: GroundTruthLayout, known_at: int) -> GroundTruthRow:
    model = layout.model or row.get(_MODEL)
    if not isinstance(model, str) or not model:
        raise RejectedRecord(NO_MODEL_NAME, f"{_MODEL!r} is {_shown(model)}; allowed is a text that names the model")
    id_ = "" if layout.keys else _id(row, layout.id)
    keys = {feature: _key(row, column) for feature, column in layout.keys}
    if layout.value not in row:
        raise RejectedRecord(BAD_VALUE, f"{layout.value!r} is not there")
    value = row[layout.value]
    if value is not None and not isinstance(value, (str, bool, int, float)):
        value = _plain(value, layout.value, BAD_VALUE)
    return GroundTruthRow(model, id_, _time(row, layout.time, known_at), value, keys)


def _id(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, Decimal):
        value = _plain(value, column, NO_PREDICTION_ID)
    if isinstance(value, float) and abs(value) < _EXACT:
        return number_text(value)  # a column of whole numbers with a gap often comes as floats
    if value is None or value == "" or isinstance(value, (bool, float, list, dict, bytes)):
        raise RejectedRecord(NO_PREDICTION_ID, f"{column!r} is {_shown(value)}; allowed is the id of a prediction")
    return str(value)


def _key(row: dict[str, Any], column: str) -> Any:
    value = row.get(column)
    if value is None or value != value:
        raise RejectedRecord(NO_KEY, f"{column!r} is {_shown(value)}; each row needs a value")
    return value if isinstance(value, (str, bool, int, float)) else _plain(value, column, NO_KEY)


def _time(row: dict[str, Any], column: str, known_at: int) -> int:
    if not column:
        return known_at
    value = row.get(column)
    try:
        return _as_ns(_plain(value, column, BAD_TIME) if isinstance(value, Decimal) else value)
    except ValueError as error:
        raise RejectedRecord(BAD_TIME, f"{column!r} is {_shown(value)}; {error}") from error


def _plain(value: Any, column: str, reason: str) -> Any:
    """Convert a type of Arrow that JSON lacks: times to ISO 8601 text, as the SDK sends them; decimals to numbers."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    raise RejectedRecord(reason, f"{column!r} is {_shown(value)}; allowed are a number, a text and a truth value")


def _shown(value: Any) -> str:
    if value is None:
        return "not there, or null"
    text = json_text(value)
    return text if len(text) <= 60 else f"{text[:60]} …"


def _json_lines(body: bytes) -> Iterator[Row]:
    try:
        lines = body.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise RejectedInput(f"not JSON lines: no UTF-8: {error}") from error
    filled = [line for line in lines if line.strip()]
    if len(filled) > MOST_ROWS:
        raise RejectedInput(f"found {len(filled)} lines; allowed are {MOST_ROWS} in one request")
    return map(_json_line, filled)


def _json_line(line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return RejectedRecord(BAD_VALUE, f"no JSON: {error}")
    return row if isinstance(row, dict) else RejectedRecord(BAD_VALUE, f"found {_shown(row)}; allowed is an object")


def _csv(body: bytes) -> tuple[pa.Table, dict[int, str]]:
    """Return the columns as text, and a message for each row, by number, with too few or too many cells.

    A guessed type would change an id like 007.
    """
    broken: dict[int, str] = {}

    def skip(row: pa.csv.InvalidRow) -> str:
        broken[row.number - 1] = f"found {row.actual_columns} cells; the header has {row.expected_columns}"
        return "skip"

    try:
        start = body.removeprefix(b"\xef\xbb\xbf")
        header: Sequence[str] = next(csv.reader(io.StringIO(start[: 1 << 20].decode("utf-8", "replace"))), [])
        options = pa.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
        parsing = pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip)
        reading = pa.csv.ReadOptions(use_threads=False)  # with threads, row numbers are unknown
        table = pa.csv.read_csv(pa.BufferReader(start), reading, parsing, options)
    except (pa.ArrowException, csv.Error, StopIteration) as error:
        raise RejectedInput(f"not CSV: {error}") from error
    return table, broken


def _arrow(body: bytes) -> pa.Table:
    try:
        with pa.ipc.open_stream(body) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise RejectedInput(f"no Arrow IPC stream: {error}") from error
    return table


def _parquet(body: bytes, layout: GroundTruthLayout) -> pa.Table:
    try:
        file = pa.parquet.ParquetFile(pa.BufferReader(body))
        if file.metadata.num_rows > MOST_ROWS:  # before any row is decompressed
            raise RejectedInput(f"the table has {file.metadata.num_rows} rows; allowed are {MOST_ROWS} in one request")
        required, present = _columns(layout), set(file.schema_arrow.names)
        return file.read(required) if present.issuperset(required) else file.schema_arrow.empty_table()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise RejectedInput(f"no Parquet file: {error}") from error


def _parsed(text: str) -> Any:
    """Return the value of a CSV cell: a number, a truth value, None, or the text."""
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    if text.lstrip("-").isdigit():
        return int(text) if abs(int(text)) < _INT64 else text
    return float(text)


def _as_ns(value: Any) -> int:
    """Convert a time to ns since the epoch. Raises ValueError with the allowed formats."""
    nanos = _ns(value)
    if nanos is None or not 0 < nanos <= _LAST:
        raise ValueError(_ALLOWED)
    return nanos


def _ns(value: Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return _from_text(value.strip())
    if isinstance(value, datetime):
        since = (value.replace(tzinfo=UTC) if value.tzinfo is None else value) - _EPOCH
        nanosecond = int(getattr(value, "nanosecond", 0))  # a pandas Timestamp has it
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + nanosecond
    if isinstance(value, date):
        return (value - _EPOCH.date()).days * 86_400 * 10**9
    if isinstance(value, int):
        return _scaled(value)
    if isinstance(value, float) and _FIRST <= value < _UNITS[-1][0]:
        whole = int(value)  # separate from the fraction: a double cannot hold today's time in ns
        scale = next(scale for limit, scale in _UNITS if whole < limit)
        return whole * scale + round((value - whole) * scale)
    return None


def _scaled(value: int) -> int | None:
    return next((value * scale for limit, scale in _UNITS if _FIRST <= value < limit), None)


def _from_text(text: str) -> int | None:
    sub_micro = _SUB_MICRO.search(text)
    try:
        nanos = _ns(datetime.fromisoformat(_SUB_MICRO.sub(r"\1", text)))
    except ValueError:
        return None
    return None if nanos is None else nanos + (int(sub_micro[2].ljust(3, "0")) if sub_micro else 0)
