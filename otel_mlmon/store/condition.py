"""A user's condition in SQL over rows that are already in memory: nothing but those rows is within its reach."""

from __future__ import annotations

import threading
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.errors import EvaluationError
from otel_mlmon.values import FieldCells, RowBlock

_MEMORY: Final = "512MB"
_SECONDS: Final = 10.0


def count_condition(rows: RowBlock, selected: npt.NDArray[np.int64], condition: str) -> tuple[int, int]:
    """(rows where the condition holds, rows where it does not); null is neither.

    Runs in a database of its own without files, network, extensions or settings, within bounds on memory and time. Raises
    EvaluationError with DuckDB's message.
    """
    if ";" in condition:
        raise EvaluationError(f"expression {condition!r}: found ';', allowed is one condition")
    table = pa.table(
        {name: _column(cells, selected) for name, cells in rows.fields.items() if not name.startswith("(")}
    )
    connection = duckdb.connect(
        ":memory:", config={"enable_external_access": "false", "memory_limit": _MEMORY, "threads": 1, "allow_community_extensions": "false", "autoinstall_known_extensions": "false", "autoload_known_extensions": "false"},
    )  # fmt: skip
    timer = threading.Timer(_SECONDS, connection.interrupt)
    try:
        connection.register("predictions", table)
        connection.execute("SET lock_configuration = true")
        timer.start()
        found = connection.execute(
            f"SELECT count(*) FILTER (WHERE held), count(*) FILTER (WHERE NOT held) FROM (SELECT ({condition}\n)::BOOLEAN AS held "
            "FROM predictions)"
        ).fetchall()
    except duckdb.Error as error:
        raise EvaluationError(f"expression {condition!r}: {error}") from error
    finally:
        timer.cancel()
        connection.close()
    return int(found[0][0]), int(found[0][1])


def _column(cells: FieldCells, rows: npt.NDArray[np.int64]) -> pa.Array:
    """Values of the column's own type; everything else is null."""
    if cells.numbers is not None:
        values = cells.numbers[rows]
        return pa.array(values, pa.float64(), mask=np.isnan(values))
    assert cells.texts is not None
    return pa.array([cells.texts.labels[code] if code >= 0 else None for code in cells.texts.codes[rows]], pa.string())
