"""A file of ground truth in pieces that each make one request: as it is written, so that the processor alone says what it means."""

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

ROWS: Final = 10_000  # of one request
_BYTES: Final = 4 * 1024 * 1024  # of one request, about


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows. `done`: share of the file that is read up to here. `first_row` counts from 1."""

    body: bytes
    content_type: str
    rows: int
    first_row: int
    done: float


_Part = tuple[bytes, int, float]  # body, rows, done


def pieces(path: Path, columns: Sequence[str]) -> Iterator[Piece]:
    """All rows of a .csv, .jsonl (each also .gz), .parquet or .arrow file, with `columns` of it. Raises MlmonError."""
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
    """The unpacked bytes, and how far the file itself has been read."""
    raw = path.open("rb")
    size = max(path.stat().st_size, 1)
    return (gzip.open(raw) if path.suffix == ".gz" else raw), lambda: raw.tell() / size  # type: ignore[return-value]


def _csv(path: Path, columns: Sequence[str]) -> Iterator[_Part]:
    data, done = _opened(path)
    with data, io.TextIOWrapper(data, "utf-8-sig", newline="") as text:
        rows = csv.reader(text)
        header = next(rows, [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise MlmonError(f"{path}: no column {missing[0]!r}; the file has {', '.join(map(repr, header)) or 'none'}")
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
        held: list[bytes] = []
        size = 0
        for line in data:
            if line.strip():
                held.append(line if line.endswith(b"\n") else line + b"\n")
                size += len(line)
            if len(held) >= ROWS or size >= _BYTES:
                yield b"".join(held), len(held), done()
                held, size = [], 0
        if held:
            yield b"".join(held), len(held), 1.0


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[_Part]:
    with pa.parquet.ParquetFile(path) as file:
        _check(path, file.schema_arrow, columns)
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
        _check(path, table.schema, columns)
        read = 0
        for batch in table.select(list(columns)).to_batches(ROWS):
            read += batch.num_rows
            yield _stream(batch), batch.num_rows, read / max(table.num_rows, 1)


def _check(path: Path, schema: pa.Schema, columns: Sequence[str]) -> None:
    for name in columns:
        if name not in schema.names:
            raise MlmonError(f"{path}: no column {name!r}; the file has {', '.join(map(repr, schema.names)) or 'none'}")


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content
