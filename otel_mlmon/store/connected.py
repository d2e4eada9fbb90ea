"""What all parts of the store share: the open file, the catalogue, a cursor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb

from otel_mlmon.store.catalog import Catalog
from otel_mlmon.store.database import Database


class Connected:
    """One open file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._catalog = Catalog(database)

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        cursor = self._database.cursor()
        try:
            yield cursor
        finally:
            cursor.close()
