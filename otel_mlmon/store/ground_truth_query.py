"""A user's query for ground truth over files, in a DuckDB of its own without access to the store.

DuckDB opens no file twice in a process, and the store's file is open. Other databases run their queries themselves: see
`ground_truth_database`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from otel_mlmon.errors import ConfigError, EvaluationError
from otel_mlmon.store.database import quoted
from otel_mlmon.store.stoppable import Stoppable, moment

_MEMORY: Final = "512MB"
_SINCE: Final = "since"


class GroundTruthQuery(Stoppable):
    """A query that can run many times. `stop` ends a run from another thread."""

    def __init__(self, query: str, attach: Sequence[tuple[str, str]], directory: Path) -> None:
        """`attach` lists DuckDB files and their names in the query. Relative paths begin in `directory`.

        Raises ConfigError when the query is not one SELECT.
        """
        super().__init__()
        self._query = query
        self._attach = tuple(attach)
        self._directory = directory
        with duckdb.connect(":memory:") as connection:
            try:
                statements = connection.extract_statements(query)
            except duckdb.Error as error:
                raise ConfigError(f"query: {_first_line(error)}") from error
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            found = ", ".join(statement.type.name for statement in statements) or "nothing"
            raise ConfigError(f"query: found {found}; allowed is one SELECT")
        unknown = sorted(map(str, set(statements[0].named_parameters) - {_SINCE}))
        if unknown:
            raise ConfigError(f"query: found the parameter ${unknown[0]}; allowed is ${_SINCE}")
        self._mentions_since = _SINCE in statements[0].named_parameters

    def run(self, since: int, rows: int, take: Callable[[pa.Table], None]) -> None:
        """Hand over the result in tables of up to about `rows` rows. `since`: ns. Raises EvaluationError."""
        connection = duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "threads": 1})
        try:
            with self.under_way(connection.interrupt) as begins:
                if begins:
                    for table in self._tables(connection, since, rows):
                        take(table)
        except duckdb.Error as error:
            raise EvaluationError(_first_line(error)) from error
        finally:
            connection.close()

    def _tables(self, connection: duckdb.DuckDBPyConnection, since: int, rows: int) -> Iterator[pa.Table]:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET file_search_path = ?", [str(self._directory)])
        for path, name in self._attach:
            connection.execute(f"ATTACH {_literal(str(self._directory / path))} AS {quoted(name)} (READ_ONLY)")
        parameters: dict[str, Any] = {_SINCE: moment(since).replace(tzinfo=None)} if self._mentions_since else {}
        result = connection.sql(self._query, params=parameters) if parameters else connection.sql(self._query)
        for batch in result.to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
