"""Cut a file of ground truth into pieces, one per request. Cells are sent unchanged; only the processor parses them."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
import pyarrow.parquet

from otel_mlmon.errors import MlmonError

ROWS: Final = 10_000  # in one request
_BYTES: Final = 4 * 1024 * 1024  # in one request, about


@dataclass(frozen=True, slots=True)
class Piece:
    """The body of one request. `done`: share of the file that is read so far. `first_row` counts from 1."""

    body: bytes
    content_type: str
    rows: int
    first_row: int
    done: float


_Part = tuple[bytes, int, float]  # body, rows, done


def pieces(path: Path, columns: Sequence[str]) -> Iterator[Piece]:
    """Yield all rows of a .csv, .jsonl (each also .gz), .parquet or .arrow file, with `columns`.

    Raises MlmonError if the file does not exist, cannot be read or lacks a column.
    """
    if not path.is_file():
        raise MlmonError(f"{path}: no such file")
    read, content_type = _reader(path)
    first = 1
    try:
        for body, rows, done in read(path, columns):
            yield Piece(body, content_type, rows, first, done)
            first += rows
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise MlmonError(f"{path}: cannot be read: {error}") from error


def _reader(path: Path) -> tuple[Callable[[Path, Sequence[str]], Iterator[_Part]], str]:
    suffix = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".csv":
        return _csv, "text/csv"
    if suffix in (".jsonl", ".ndjson"):
        return _lines, "application/x-ndjson"
    if path.suffix in (".parquet", ".pq"):
        return _parquet, "application/vnd.apache.arrow.stream"
    if path.suffix in (".arrow", ".arrows", ".feather"):
        return _arrow, "application/vnd.apache.arrow.stream"
    raise MlmonError(
        f"{path}: found a file ending in {path.suffix or 'nothing'!r}; "
        "allowed are .csv, .jsonl, .ndjson (each also .gz), .parquet, .pq, .arrow, .arrows, .feather"
    )


def _opened(path: Path) -> tuple[IO[bytes], Callable[[], float]]:
    """Open the file. Return the decompressed bytes, and a function that gives the share of the file read so far."""
    raw = path.open("rb")
    size = max(path.stat().st_size, 1)
    return (gzip.open(raw) if path.suffix == ".gz" else raw), lambda: raw.tell() / size  # type: ignore[return-value]


def _csv(path: Path, columns: Sequence[str]) -> Iterator[_Part]:
    data, done = _opened(path)
    with data, io.TextIOWrapper(data, "utf-8-sig", newline="") as text:
        rows = csv.reader(text)
        header = next(rows, [])
        _check(path, header, columns)
        body, written, n = io.StringIO(), csv.writer, 0
        written(body).writerow(header)
        for row in rows:
            if row:
                written(body).writerow(row)
                n += 1
            if n >= ROWS or body.tell() >= _BYTES:
                yield body.getvalue().encode(), n, done()
                body, n = io.StringIO(), 0
                written(body).writerow(header)
        if n:
            yield body.getvalue().encode(), n, 1.0


def _lines(path: Path, columns: Sequence[str]) -> Iterator[_Part]:
    data, done = _opened(path)
    with data:
        lines: list[bytes] = []
        size = 0
        for line in data:
            if line.strip():
                lines.append(line if line.endswith(b"\n") else line + b"\n")
                size += len(line)
            if len(lines) >= ROWS or size >= _BYTES:
                yield b"".join(lines), len(lines), done()
                lines, size = [], 0
        if lines:
            yield b"".join(lines), len(lines), 1.0


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[_Part]:
    with pa.parquet.ParquetFile(path) as file:
        _check(path, file.schema_arrow.names, columns)
        total, read = max(file.metadata.num_rows, 1), 0
        for batch in file.iter_batches(ROWS, columns=list(columns)):
            read += batch.num_rows
            yield _stream(batch), batch.num_rows, read / total


def _arrow(path: Path, columns: Sequence[str]) -> Iterator[_Part]:
    with pa.memory_map(str(path)) as source:
        try:
            table = pa.ipc.open_file(source).read_all()
        except pa.ArrowInvalid:  # a stream, then
            source.seek(0)
            table = pa.ipc.open_stream(source).read_all()
        _check(path, table.schema.names, columns)
        read = 0
        for batch in table.select(list(columns)).to_batches(ROWS):
            read += batch.num_rows
            yield _stream(batch), batch.num_rows, read / max(table.num_rows, 1)


def _check(path: Path, names: Sequence[str], columns: Sequence[str]) -> None:
    for name in columns:
        if name not in names:
            raise MlmonError(f"{path}: no column {name!r}; the file has {', '.join(map(repr, names)) or 'none'}")


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content
