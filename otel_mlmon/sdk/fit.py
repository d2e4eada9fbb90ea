"""Cut a table of any size into events that each stay under the size limit."""

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
    """Cut tables of one model into batches; remember how many rows fitted last time.

    `on_drop(reason, rows)` is called for rows that cannot be encoded.
    """

    def __init__(self, on_drop: Callable[[str, int], None], max_bytes: int = semconv.MAX_EVENT_BYTES) -> None:
        self._on_drop = on_drop
        self._limit = max_bytes - _HEADROOM
        self._rows = _FIRST_GUESS_ROWS

    def batches(self, table: Table) -> Iterator[tuple[Table, bytes]]:
        """Yield all rows of `table` in batches, each with its encoded bytes."""
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
            # Too large, or one row cannot be encoded: halving isolates that row, and the others are sent.
            middle = len(table) // 2
            yield from self._fit(table.rows(0, middle))
            yield from self._fit(table.rows(middle, len(table)))
        else:
            yield from self._shrink(table)

    def _shrink(self, row: Table) -> Iterator[tuple[Table, bytes]]:
        """Leave out the largest cells, and those that cannot be encoded, of a batch of one row.

        The batch then has no column for such a cell, not even a null or a mark. Receivers read `lost` first: if it is
        above 0, they take a missing column as unknown, never as a missing value.
        """
        sizes = {name: size for name, cells in row.fields.items() if (size := _cell_size(name, cells[0])) is not None}
        budget = self._limit
        reason = "too_large"
        while budget > 1024:
            kept = _smallest(sizes, budget)
            lost = len(row.fields) - len(kept)
            counted = row.lost is not None  # ground truth has no `lost` column: without its value it is not sent
            if lost and not counted:
                break
            fields = {name: cells for name, cells in row.fields.items() if name in kept}
            # Only the count distinguishes a prediction that was cut off from one without a value.
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
        except Exception as error:  # a cell may hold any object, so it may raise anything; halving isolates its row
            guard.note("encoding a batch", error)
            return None


def _cell_size(name: str, value: Any) -> int | None:
    """Estimate the bytes of a cell in a batch of one row; None if it cannot be encoded."""
    try:
        cells = column([value])
        content = value if cells.type == "string" and isinstance(value, str) else ""
        if cells.other is not None:
            content = cells.other[0] or ""
        elif value is not ABSENT and cells.type == "string" and not content:
            content = json_text(value)
        companions = 1 + (cells.other is not None) + (cells.absent is not None)
        return _bytes(content) + companions * (_bytes(name) + _CELL_OVERHEAD)
    except Exception:  # the value's own methods raise, or it contains itself: the cell is counted as lost
        return None


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "backslashreplace"))


def _smallest(sizes: dict[str, int], budget: int) -> set[str]:
    """Choose the columns that fit into `budget` bytes: the prediction first if it fits, then the smallest ones."""
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
