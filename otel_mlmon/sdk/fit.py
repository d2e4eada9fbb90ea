"""A table of any size to events that each stay under the size limit, whatever a row weighs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from otel_mlmon.sdk import guard
from otel_mlmon.sdk.encode import encode
from otel_mlmon.sdk.table import Table
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import ABSENT, column, json_text

_HEADROOM: Final = 8 * 1024  # attributes, names and framing of the log record
_FIRST_GUESS_ROWS: Final = 512
_CELL_OVERHEAD: Final = 112  # of one column in a batch of one row: schema entry, field node, padded buffers
_KEEP_FIRST: Final = (semconv.COLUMN_PREDICTION, semconv.COLUMN_GROUND_TRUTH)


class Fitter:
    """Cuts tables of one model into batches; remembers how many rows fitted last time.

    `on_drop(reason, rows)` is told of rows that could not be encoded at all.
    """

    def __init__(self, on_drop: Callable[[str, int], None], max_bytes: int = semconv.MAX_EVENT_BYTES) -> None:
        self._on_drop = on_drop
        self._limit = max_bytes - _HEADROOM
        self._rows = _FIRST_GUESS_ROWS

    def batches(self, table: Table) -> Iterator[tuple[Table, bytes]]:
        """All rows of `table`, in batches, each with its encoding."""
        start = 0
        while start < len(table):
            part = table.rows(start, start + self._rows)
            start += len(part)
            size = 0
            for batch, body in self._fit(part):
                size += len(body)
                yield batch, body
            self._rows = max(1, min(16_384, int(0.9 * self._limit * len(part) / max(size, 1))))

    def _fit(self, table: Table) -> Iterator[tuple[Table, bytes]]:
        body = self._try(table)
        if body is not None and len(body) <= self._limit:
            yield table, body
        elif len(table) > 1:
            # Too large, or one row cannot be encoded: halves find the row, and the others go on.
            middle = len(table) // 2
            yield from self._fit(table.rows(0, middle))
            yield from self._fit(table.rows(middle, len(table)))
        else:
            yield from self._shrink(table)

    def _shrink(self, row: Table) -> Iterator[tuple[Table, bytes]]:
        """One row that is too large or holds a cell that cannot be encoded, without the largest or broken cells.

        A cell that is cut off leaves no column at all in its batch of one row, neither a null nor an absent or other
        mark: receivers read `lost` first and then take a missing column as unknown, never as a missing value.
        """
        sizes = {name: size for name, cells in row.fields.items() if (size := _cell_size(name, cells[0])) is not None}
        budget = self._limit
        reason = "too_large"
        while budget > 1024:
            kept = _smallest(sizes, budget)
            lost = len(row.fields) - len(kept)
            counted = row.lost is not None  # ground truth has no such column: without its value it is not sent
            if lost and not counted:
                break
            fields = {name: cells for name, cells in row.fields.items() if name in kept}
            # A prediction that was cut off is told from one that never was by the count alone.
            part = Table(row.ids, row.times, fields, row.texts, row.durations, [lost] if counted else None)
            body = self._try(part)
            if body is not None and len(body) <= self._limit:
                yield part, body
                return
            reason = "failed" if body is None else reason
            budget = budget * 3 // 4
        self._on_drop(reason, 1)

    def _try(self, table: Table) -> bytes | None:
        try:
            return encode(table)
        except Exception as error:  # any object may stand in a cell, so anything may be raised; its row is found
            guard.note("encoding a batch", error)
            return None


def _cell_size(name: str, value: Any) -> int | None:
    """About how many bytes a cell takes in a batch of one row; None if it cannot be encoded."""
    try:
        cells = column([value])
        content = value if cells.type == "string" and isinstance(value, str) else ""
        if cells.other is not None:
            content = cells.other[0] or ""
        elif value is not ABSENT and cells.type == "string" and not content:
            content = json_text(value)
        companions = 1 + (cells.other is not None) + (cells.absent is not None)
        return _bytes(content) + companions * (_bytes(name) + _CELL_OVERHEAD)
    except Exception:  # a value whose own methods raise, or nested without end: lost, and counted as such
        return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _smallest(sizes: dict[str, int], budget: int) -> set[str]:
    """The columns that fit into `budget`: the prediction if it can be, then from the smallest up."""
    kept = set()
    for name in sorted(sizes, key=lambda name: (name not in _KEEP_FIRST, sizes[name])):
        budget -= sizes[name]
        if budget >= 0:
            kept.add(name)
        elif name not in _KEEP_FIRST:
            break
        else:
            budget += sizes[name]
    return kept
