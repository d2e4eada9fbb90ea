"""A user's query for ground truth to another database, in that database's own SQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from otel_mlmon.errors import EvaluationError
from otel_mlmon.store.drivers import Connection, Mysql, Postgres, Sqlite, driver
from otel_mlmon.store.stoppable import Stoppable, moment

_LONGEST: Final = 300  # characters of an error


class DatabaseQuery(Stoppable):
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
            with self.under_way(partial(_cancel, connection)) as begins:
                if begins:
                    for columns in self._columns(connection, since, rows):
                        take(columns)
        except connection.errors as error:
            raise EvaluationError(_said(error, password)) from None
        finally:
            connection.close()

    def _columns(self, connection: Connection, since: int, rows: int) -> Iterator[dict[str, Sequence[Any]]]:
        names, batches = connection.read(self._query, moment(since), rows)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise EvaluationError(f"column {twice[0]!r} comes twice")
        for batch in batches:
            columns: dict[str, Sequence[Any]] = dict(zip(names, zip(*batch, strict=True), strict=True))
            if self._boolean in columns:
                columns[self._boolean] = [_truth(value) for value in columns[self._boolean]]
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


def _truth(value: Any) -> Any:
    return bool(value) if isinstance(value, int) and value in (0, 1) else value


def _said(error: Exception, password: str | None) -> str:
    """The first line of the driver's own message, without the password."""
    text = str(error.args[-1] if type(error).__module__.startswith("pymysql") and error.args else error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    return (line.replace(password, "***") if password else line)[:_LONGEST]
