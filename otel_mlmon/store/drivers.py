"""SQLite, PostgreSQL and MySQL, each by its own Python driver: one read-only query, in the database's own SQL.

All times are read in UTC. A value that Python cannot hold is read as its text, so that the row is refused and not the
query.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from otel_mlmon.errors import ConfigError

_PATIENCE_S: Final = 10  # for a server that does not answer, unless the URL says `connect_timeout`
_SINCE: Final = re.compile(r"\$since\b")
_TLS: Final = ("ssl_ca", "ssl_cert", "ssl_key")
_MYSQL_PORT: Final = 3306

Result = tuple[Sequence[str], Iterator[Sequence[Sequence[Any]]]]


class Connection(Protocol):
    """An open connection. `cancel` ends its query from another thread; the query then raises one of `errors`."""

    errors: tuple[type[Exception], ...]

    def read(self, query: str, since: datetime, rows: int) -> Result:
        """Names of the columns, and rows in lists of up to `rows`. `since` is in UTC."""

    def cancel(self) -> None: ...
    def close(self) -> None: ...


class Sqlite:
    """A file, opened read-only."""

    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
        self._connection.text_factory = lambda text: text.decode("utf-8", "replace")

    def read(self, query: str, since: datetime, rows: int) -> Result:
        # Into a temporary table first: a slow reader would lock out the writers.
        moment = since.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
        self._connection.execute(f"CREATE TEMP TABLE taken AS {query}", {"since": moment})
        cursor = self._connection.execute("SELECT * FROM temp.taken")
        return _names(cursor), _batches(cursor, rows)

    def cancel(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


class Postgres:
    """A server, by psycopg. libpq's variables and files (PGPASSFILE, PGSERVICE …) hold too."""

    def __init__(self, url: str, password: str | None) -> None:
        psycopg = driver("psycopg", "postgres")
        self.errors: tuple[type[Exception], ...] = (psycopg.Error,)
        given = {"connect_timeout": _PATIENCE_S, "fallback_application_name": "mlmon"}
        given |= psycopg.conninfo.conninfo_to_dict(url) | ({} if password is None else {"password": password})
        self._connection = psycopg.connect(**given, prepare_threshold=None)
        self._connection.read_only = True
        _read_as_text(psycopg, self._connection)

    def read(self, query: str, since: datetime, rows: int) -> Result:
        self._connection.execute("SET LOCAL TIME ZONE 'UTC'")
        cursor = self._connection.cursor("mlmon")  # a named cursor is on the server: rows come bit by bit
        cursor.execute(*_bound(query, since))
        return _names(cursor), _batches(cursor, rows)

    def cancel(self) -> None:
        self._connection.cancel_safe(timeout=_PATIENCE_S)

    def close(self) -> None:
        self._connection.close()


class Mysql:
    """A server, by PyMySQL."""

    def __init__(self, url: str, password: str | None) -> None:
        pymysql = driver("pymysql", "mysql")
        self.errors: tuple[type[Exception], ...] = (pymysql.MySQLError, OSError)
        parts = urlsplit(url)
        options: dict[str, Any] = dict(parse_qsl(parts.query))
        options["connect_timeout"] = int(options.get("connect_timeout", _PATIENCE_S))
        if any(option in options for option in _TLS):
            options |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
        self._open: Callable[[], Any] = lambda: pymysql.connect(
            host=parts.hostname or "localhost",
            port=parts.port or _MYSQL_PORT,
            password=password or "",
            user=unquote(parts.username) if parts.username else None,
            database=unquote(parts.path[1:]) or None,
            charset="utf8mb4",
            autocommit=True,
            cursorclass=pymysql.cursors.SSCursor,
            **options,
        )
        self._connection = self._open()

    def read(self, query: str, since: datetime, rows: int) -> Result:
        for statement in ("SET time_zone = '+00:00'", "START TRANSACTION READ ONLY"):
            self._connection.query(statement)
        # Kept: a cursor that is collected as garbage reads all rows that are still to come.
        self._cursor = cursor = self._connection.cursor()
        cursor.execute(*_bound(query, since.replace(tzinfo=None)))
        return _names(cursor), _batches(cursor, rows)

    def cancel(self) -> None:
        with self._open() as second:
            second.query(f"KILL QUERY {self._connection.thread_id()}")

    def close(self) -> None:
        # PyMySQL reads the rest of a result before it lets go of it. It has no public switch for that.
        if (unread := self._connection._result) is not None:
            unread.unbuffered_active = False
        if self._connection.open:
            self._connection.close()


def driver(name: str, extra: str) -> Any:
    """Import the driver's module. Raises ConfigError with how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"{name} is not installed: pip install 'otel-mlmon[{extra}]'") from error


def _bound(query: str, since: datetime) -> tuple[str, dict[str, Any]] | tuple[str]:
    """The query in the drivers' notation, in which % has a meaning as soon as there are parameters."""
    if not _SINCE.search(query):
        return (query,)
    return _SINCE.sub("%(since)s", query.replace("%", "%%")), {"since": since}


def _names(cursor: Any) -> list[str]:
    return [column[0] for column in cursor.description]


def _batches(cursor: Any, rows: int) -> Iterator[Sequence[Sequence[Any]]]:
    while batch := cursor.fetchmany(rows):
        yield batch


def _read_as_text(psycopg: Any, connection: Any) -> None:
    """Read types as text that Python lacks or that hold less in Python than in PostgreSQL (infinity)."""

    def tolerant(kind: type) -> type:
        class Tolerant(kind):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except psycopg.DataError:
                    return bytes(data).decode()

        return Tolerant

    class Padded(psycopg.types.string.TextLoader):  # type: ignore[misc]
        def load(self, data: Any) -> Any:
            return super().load(data).rstrip(" ")

    times = psycopg.types.datetime
    adapters = connection.adapters
    for name, kind in (("timestamptz", "Timestamptz"), ("timestamp", "Timestamp"), ("date", "Date")):
        adapters.register_loader(name, tolerant(getattr(times, f"{kind}Loader")))
    for name in ("uuid", "inet", "cidr"):
        adapters.register_loader(name, psycopg.types.string.TextLoader)
    adapters.register_loader("bpchar", Padded)
