"""The DuckDB file: opening, migrating, transactions. DuckDB's errors become ours here."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import duckdb
import pyarrow as pa

from otel_mlmon.errors import ConfigError, MlmonError, RejectedInput, StoreUnavailable

_CATALOG = "mlmon_file"


class Database:
    """One open file. Each thread takes its own cursor; one lock serialises transactions that write."""

    def __init__(self, path: Path | None, *, memory_limit: str, threads: int) -> None:
        """Open or create `path`; None keeps everything in memory. Raises ConfigError when it cannot be opened."""
        self.path = path
        try:
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(":memory:", config={"memory_limit": memory_limit, "threads": threads})
            if path is not None:
                # Under a name of our own: a file called like one of our schemas would make every name ambiguous.
                self._connection.execute(f"ATTACH {literal(str(path))} AS {_CATALOG}")
        except (duckdb.Error, OSError) as error:
            raise ConfigError(f"cannot open the store {path}: {first_line(error)}") from error
        self._write_lock = threading.Lock()
        try:
            self._migrate()
        except (duckdb.Error, MlmonError) as error:
            self._connection.close()
            raise ConfigError(f"cannot open the store {path}: {first_line(error)}") from error

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one thread's reads. Exhaust each result before the next query on it."""
        try:
            cursor = self._connection.cursor()
            if self.path is not None:
                cursor.execute(f"USE {_CATALOG}")
            return cursor
        except duckdb.Error as error:
            raise StoreUnavailable(f"the store is closed: {first_line(error)}") from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor that is closed at the end."""
        with contextlib.closing(self.cursor()) as cursor:
            yield cursor

    @contextlib.contextmanager
    def transaction(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open a cursor inside a transaction: committed at the end, rolled back on any exception.

        Raises StoreUnavailable when DuckDB fails (disk full, file gone), and RejectedInput when DuckDB can never take
        the data. In both cases nothing was written.
        """
        with self._write_lock:
            cursor = self.cursor()
            try:
                cursor.execute("BEGIN")
                yield cursor
                cursor.execute("COMMIT")
            except (duckdb.DataError, duckdb.IntegrityError, duckdb.ProgrammingError) as error:
                _rollback(cursor)
                raise RejectedInput(f"cannot be stored: {first_line(error)}", "unstorable") from error
            except duckdb.Error as error:
                _rollback(cursor)
                raise StoreUnavailable(f"commit failed: {first_line(error)}") from error
            except BaseException:
                _rollback(cursor)
                raise
            finally:
                cursor.close()

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file."""
        with self._write_lock, contextlib.closing(self.cursor()) as cursor:
            cursor.execute("CHECKPOINT")

    def size_bytes(self) -> int:
        """Size of the file and its write-ahead log."""
        if self.path is None:
            return 0
        return sum(p.stat().st_size for p in (self.path, Path(f"{self.path}.wal")) if p.exists())

    def close(self) -> None:
        """Checkpoint and close; safe to call twice."""
        with self._write_lock:
            self._connection.close()

    def _migrate(self) -> None:
        with self.reading() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS mlmon_migrations (name VARCHAR PRIMARY KEY)")
            done = {name for (name,) in cursor.execute("SELECT name FROM mlmon_migrations").fetchall()}
        scripts = resources.files("otel_mlmon.store").joinpath("migrations").iterdir()
        for script in sorted(scripts, key=lambda entry: entry.name):
            if script.name.endswith(".sql") and script.name not in done:
                with self.transaction() as cursor:
                    cursor.execute(script.read_text(encoding="utf-8"))
                    cursor.execute("INSERT INTO mlmon_migrations VALUES (?)", [script.name])


def _rollback(cursor: duckdb.DuckDBPyConnection) -> None:
    with contextlib.suppress(duckdb.Error):  # no transaction is open any more
        cursor.execute("ROLLBACK")


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


@contextlib.contextmanager
def registered(cursor: duckdb.DuckDBPyConnection, table: pa.Table, name: str = "fresh") -> Iterator[None]:
    """Let queries read `table` under a name."""
    cursor.register(name, table)
    yield
    cursor.unregister(name)


def insert(cursor: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    """Append rows to a table of the schema `mlmon_state`, column by name."""
    if rows.num_rows:
        with registered(cursor, rows):
            cursor.execute(f"INSERT INTO mlmon_state.{table} BY NAME SELECT * FROM fresh")
