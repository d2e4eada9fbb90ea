"""The ledger: estimates, and the metrics that were realised later."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import duckdb
import pyarrow as pa

from otel_mlmon.values.history import LedgerEntry

_COLUMNS: Final = ", ".join(f'"{name}"' for name in LedgerEntry._fields)
_TEXTS: Final = frozenset({"alert", "model", "version", "segment", "metric"})
_WHOLE: Final = frozenset({"start", "end", "made", "with_truth", "scored"})
_RESULT: Final = ("realised", "realised_low", "realised_high", "with_truth", "coverage", "scored")


def append_estimates(cursor: duckdb.DuckDBPyConnection, rows: Iterable[LedgerEntry]) -> None:
    """Append estimates, without those whose alert and window are kept already."""
    kept = list(rows)
    if kept:
        cursor.register("fresh", _table(kept))
        cursor.execute(
            f"INSERT INTO mlmon_state.estimates ({_COLUMNS}) SELECT {_COLUMNS} FROM fresh "
            'ANTI JOIN mlmon_state.estimates USING (alert, "start", "end")'
        )
        cursor.unregister("fresh")


def score_estimates(cursor: duckdb.DuckDBPyConnection, rows: Iterable[LedgerEntry]) -> None:
    """Add the realised metrics to estimates, in place of earlier ones. Unknown estimates are ignored."""
    scored = list(rows)
    if scored:
        cursor.register("fresh", _table(scored))
        changes = ", ".join(f"{name} = fresh.{name}" for name in _RESULT)
        cursor.execute(
            f"UPDATE mlmon_state.estimates AS kept SET {changes} FROM fresh "
            'WHERE kept.alert = fresh.alert AND kept."start" = fresh."start" AND kept."end" = fresh."end"'
        )
        cursor.unregister("fresh")


def read_estimates(cursor: duckdb.DuckDBPyConnection, alert: str, limit: int) -> list[LedgerEntry]:
    """The newest estimates of one alert, oldest first, scored or not."""
    rows = cursor.execute(
        f'SELECT {_COLUMNS} FROM mlmon_state.estimates WHERE alert = ? ORDER BY "end" DESC LIMIT ?', [alert, limit]
    ).fetchall()
    return [_entry(row) for row in reversed(rows)]


def _table(rows: Sequence[LedgerEntry]) -> pa.Table:
    columns = {}
    for name, values in zip(LedgerEntry._fields, zip(*rows, strict=True), strict=True):
        type_ = pa.string() if name in _TEXTS else pa.int64() if name in _WHOLE else pa.float64()
        columns[name] = pa.array([None if isinstance(v, float) and math.isnan(v) else v for v in values], type_)
    return pa.table(columns)


def _entry(row: Sequence[Any]) -> LedgerEntry:
    return LedgerEntry._make(math.nan if value is None else value for value in row)
