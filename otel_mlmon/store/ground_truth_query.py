"""A user's query for ground truth: over files, or in another database and its own SQL.

Files are read in a DuckDB of its own without access to the store: DuckDB opens no file twice in a process, and the
store's file is open.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import duckdb
import pyarrow as pa

from otel_mlmon.errors import ConfigError, EvaluationError
from otel_mlmon.store.database import first_line, literal, quoted
from otel_mlmon.store.drivers import Connection, Mysql, Postgres, Sqlite, driver

_T = TypeVar("_T")
_MEMORY: Final = "512MB"
_SINCE: Final = "since"
_LONGEST: Final = 300  # characters of an error
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class _Stoppable:
    """Runs one query at a time, until `stop`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cancel: Callable[[], None] | None = None
        self._stopped = False

    def _hand_over(self, parts: Iterator[_T], take: Callable[[_T], None], cancel: Callable[[], None]) -> None:
        """Run a query that `cancel` ends, unless it was stopped: hand over the result, part by part."""
        with self._lock:
            if self._stopped:
                return
            self._cancel = cancel
        try:
            for part in parts:
                take(part)
        finally:
            with self._lock:
                self._cancel = None

    def stop(self) -> None:
        """End the running query, and begin no other."""
        with self._lock:
            self._stopped = True
            if self._cancel is not None:
                self._cancel()


class GroundTruthQuery(_Stoppable):
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
                raise ConfigError(f"query: {first_line(error)}") from error
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
            self._hand_over(self._tables(connection, since, rows), take, connection.interrupt)
        except duckdb.Error as error:
            raise EvaluationError(first_line(error)) from error
        finally:
            connection.close()

    def _tables(self, connection: duckdb.DuckDBPyConnection, since: int, rows: int) -> Iterator[pa.Table]:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET file_search_path = ?", [str(self._directory)])
        for path, name in self._attach:
            connection.execute(f"ATTACH {literal(str(self._directory / path))} AS {quoted(name)} (READ_ONLY)")
        parameters: dict[str, Any] = {_SINCE: _moment(since).replace(tzinfo=None)} if self._mentions_since else {}
        result = connection.sql(self._query, params=parameters) if parameters else connection.sql(self._query)
        for batch in result.to_arrow_reader(rows):
            yield pa.Table.from_batches([batch])


class DatabaseQuery(_Stoppable):
    """A query that can run many times, with a connection for each run. `stop` ends a run from another thread."""

    def __init__(
        self,
        query: str,
        url: str,
        directory: Path,
        *,
        boolean: str = "",
        password_env: str = "",
        password_file: Path | None = None,
    ) -> None:
        """`url` is spelled as in the configuration. `boolean` names a column in which 0 and 1 mean false and true.

        The password is read anew for each run. Relative paths begin in `directory`. Raises ConfigError when the driver
        is not installed.
        """
        super().__init__()
        self._query = query.strip().rstrip(";")
        self._kind, _, self._place = url.partition(":")
        self._url = url
        self._directory = directory
        self._boolean = boolean
        self._password_env = password_env
        self._password_file = password_file
        if self._kind != "sqlite":
            driver(*(("psycopg", "postgres") if self._kind == "postgresql" else ("pymysql", "mysql")))

    def run(self, since: int, rows: int, take: Callable[[Mapping[str, Sequence[Any]]], None]) -> None:
        """Hand over the result in columns of up to `rows` values. `since`: ns. Raises EvaluationError."""
        password = self._password()
        try:
            connection = self._connected(password)
        except Exception as error:  # each driver has its own errors
            raise EvaluationError(_said(error, password)) from None  # the cause may hold the password
        try:
            self._hand_over(self._columns(connection, since, rows), take, partial(_cancel, connection))
        except connection.errors as error:
            raise EvaluationError(_said(error, password)) from None
        finally:
            connection.close()

    def _columns(self, connection: Connection, since: int, rows: int) -> Iterator[dict[str, Sequence[Any]]]:
        names, batches = connection.read(self._query, _moment(since), rows)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise EvaluationError(f"column {twice[0]!r} comes twice")
        for batch in batches:
            columns: dict[str, Sequence[Any]] = dict(zip(names, zip(*batch, strict=True), strict=True))
            if self._boolean in columns:
                given = columns[self._boolean]
                columns[self._boolean] = [bool(v) if isinstance(v, int) and v in (0, 1) else v for v in given]
            yield columns

    def _connected(self, password: str | None) -> Connection:
        if self._kind == "sqlite":
            path = self._directory / self._place
            if not path.is_file():
                raise EvaluationError(f"found no file {path}")
            return Sqlite(path)
        return (Postgres if self._kind == "postgresql" else Mysql)(self._url, password)

    def _password(self) -> str | None:
        if self._password_env:
            if self._password_env not in os.environ:
                raise EvaluationError(f"password_env: the environment has no {self._password_env}")
            return os.environ[self._password_env]
        if self._password_file is None:
            return None
        try:
            return (self._directory / self._password_file).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise EvaluationError(f"password_file: {error}") from error


def _cancel(connection: Connection) -> None:
    with suppress(*connection.errors):  # the server is gone, and the query with it
        connection.cancel()


def _said(error: Exception, password: str | None) -> str:
    """The first line of the driver's own message, without the password."""
    text = str(error.args[-1] if type(error).__module__.startswith("pymysql") and error.args else error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    return (line.replace(password, "***") if password else line)[:_LONGEST]


def _moment(since: int) -> datetime:
    """Return ns since the epoch as a datetime, rounded down: a row that is read twice is a duplicate, a skipped row is
    lost.
    """
    return _EPOCH + timedelta(microseconds=since // 1000)
