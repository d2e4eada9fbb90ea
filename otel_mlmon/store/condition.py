"""A user's SQL condition or aggregate over rows in memory. The SQL can reach nothing else."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.errors import EvaluationError
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values import FieldCells, RowBlock

_MEMORY: Final = "512MB"
_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "threads": 1,
    "allow_community_extensions": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_SECONDS: Final = 10.0


def count_condition(rows: RowBlock, selected: npt.NDArray[np.int64], condition: str) -> tuple[int, int]:
    """Return (rows where the condition holds, rows where it does not); null is neither.

    Runs in a database of its own without files, network, extensions or settings, within limits of memory and time.
    Raises EvaluationError with DuckDB's message.
    """
    table = pa.table(
        {name: _column(cells, selected) for name, cells in rows.fields.items() if not name.startswith("(")}
    )
    with _sandbox(condition, table) as run:
        held, broke = run(
            "SELECT count(*) FILTER (WHERE held), count(*) FILTER (WHERE NOT held) FROM (SELECT "
            f"({condition}\n)::BOOLEAN AS held FROM predictions)"
        )
    return int(held), int(broke)


def aggregate(
    rows: RowBlock, selected: npt.NDArray[np.int64], expression: str, groups: npt.NDArray[np.int64]
) -> list[float]:
    """Return an SQL aggregate over the selected rows, then over all but each group in turn; NaN where it is null.

    Columns are the features, `prediction`, `ground_truth` and `score <class>`; these hide features of the same name.
    Limits and errors are those of `count_condition`.
    """
    columns = {name: _column(cells, selected) for name, cells in rows.fields.items()}
    features = {name: column for name, column in columns.items() if not name.startswith("(")}
    outputs = {str(output_name(name)): column for name, column in columns.items() if output_name(name) is not None}
    numeric = np.isfinite(rows.truth_numbers[selected]).any()
    truth = pa.array(rows.truth_numbers[selected], from_pandas=True)
    if not numeric:
        names = np.array([*rows.truth_texts.labels, None], dtype=object)
        truth = pa.array(names[rows.truth_texts.codes[selected]], pa.string())
    table = pa.table({**features, **outputs, "ground_truth": truth, "_group": pa.array(groups)})
    found: list[float] = []
    with _sandbox(expression, table) as run:
        for without in (-1, *range(int(groups.max(initial=-1)) + 1)):
            (value,) = run(f"SELECT ({expression}\n)::DOUBLE FROM predictions WHERE _group <> {without}")
            found.append(float("nan") if value is None else float(value))
    return found


@contextlib.contextmanager
def _sandbox(text: str, table: pa.Table) -> Iterator[Callable[[str], tuple[Any, ...]]]:
    """Run queries with one result row over `table`, named `predictions`, for the user's `text`."""
    if ";" in text:
        raise EvaluationError(f"expression {text!r}: found ';', allowed is one expression")
    connection = duckdb.connect(":memory:", config={**_CONFIG, "memory_limit": _MEMORY})
    timer = threading.Timer(_SECONDS, connection.interrupt)
    try:
        connection.register("predictions", table)
        connection.execute("SET lock_configuration = true")
        timer.start()
        yield lambda sql: connection.execute(sql).fetchall()[0]
    except duckdb.Error as error:
        raise EvaluationError(f"expression {text!r}: {error}") from error
    finally:
        timer.cancel()
        connection.close()


def _column(cells: FieldCells, rows: npt.NDArray[np.int64]) -> pa.Array:
    """Values of the column's own type; all others are null."""
    if cells.numbers is not None:
        values = cells.numbers[rows]
        return pa.array(values, pa.float64(), mask=np.isnan(values))
    assert cells.texts is not None
    return pa.array([cells.texts.labels[code] if code >= 0 else None for code in cells.texts.codes[rows]], pa.string())
