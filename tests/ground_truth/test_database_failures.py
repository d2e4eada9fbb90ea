"""A database is away, goes away, is slow, or is written to during a read: no ground truth is lost or doubled."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from batches import SECOND, predictions
from ground_truth.fetching import Fetch, wait
from peers.databases import PASSWORD, Database, mariadb, postgresql

from otel_mlmon.errors import EvaluationError
from otel_mlmon.server.config import GroundTruthSource
from otel_mlmon.server.service import Service
from otel_mlmon.store import Store
from otel_mlmon.store.ground_truth_query import DatabaseQuery
from otel_mlmon.values import Decoded

Start = Callable[..., Service]
FIRST = 1_767_225_600  # 2026-01-01
SOLD = "SELECT id, price, sold_at FROM sold WHERE sold_at > $since"


@pytest.fixture(scope="module")
def server() -> Iterator[Database]:
    with postgresql() as running:
        yield running


@pytest.fixture
def postgres(server: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Start PostgreSQL with an empty table, and put its password into the environment."""
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    server.execute(
        "DROP TABLE IF EXISTS sold", "CREATE TABLE sold (id bigint, price numeric(10,2), sold_at timestamptz)"
    )
    return server


def _source(database: Database, query: str = SOLD, **given: Any) -> dict[str, Any]:
    own = {"name": "sold", "model": "m", "database": database.url, "password_env": "CRM_PASSWORD"}
    return {**own, "query": query, "id": "id", "value": "price", "time": "sold_at", "every": "1s", **given}


def _sell(database: Database, first: int, n: int) -> None:
    database.execute(
        f"INSERT INTO sold SELECT i, i + 0.5, to_timestamp({FIRST} + i) "
        f"FROM generate_series({first}, {first + n - 1}) i"
    )


def _status(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.reports.status()["ground_truth_sources"][0]
    return found


@pytest.mark.peers
def test_a_server_that_is_away_at_the_start_and_goes_away_again(start: Start, postgres: Database) -> None:
    _sell(postgres, 0, 100)
    postgres.stop()
    service = start(ground_truth=[_source(postgres)])
    wait(lambda: "Connection refused" in _status(service)["error"])
    assert any("source 'sold' failed" in note for note in service.reports.status()["notes"])
    store = service._pipeline.store
    store(Decoded((predictions([{"x": 1}] * 50, [1.0] * 50, ids=[str(i) for i in range(50)]),)))
    postgres.start()
    wait(lambda: _status(service)["stored"] == 100)
    wait(lambda: service.reports.status()["models"][0]["ground_truth"].get("joined") == 50)
    assert (_status(service)["error"], _status(service)["newest"]) == ("", (FIRST + 99) * SECOND)
    postgres.stop()
    wait(lambda: _status(service)["error"])
    postgres.start()
    _sell(postgres, 100, 20)
    wait(lambda: _status(service)["stored"] == 120)
    assert (_status(service)["duplicates"], _status(service)["rejected"]) == (0, 0)


@pytest.mark.peers
def test_a_server_that_goes_away_in_the_middle_of_the_rows(fetch: Fetch, postgres: Database) -> None:
    n = 25_000
    _sell(postgres, 0, n)
    store = Store(None)
    fetcher = fetch(store, GroundTruthSource.model_validate(_source(postgres)))
    through, stops = fetcher.made.store, [postgres.stop]

    def once_stopped(decoded: Decoded) -> Any:
        receipt = through(decoded)
        if stops:
            stops.pop()()
        return receipt

    fetcher.made.store = once_stopped
    (status,) = fetcher.run()
    assert (status["stored"], status["newest"]) == (10_000, 0)
    assert "terminat" in status["error"] or "closed" in status["error"] or "lost" in status["error"]
    postgres.start()
    (status,) = fetcher.run()
    assert (status["stored"], status["duplicates"], status["error"]) == (n, 10_000, "")
    assert store.query("SELECT count(*), count(DISTINCT prediction_id) FROM mlmon_state.ground_truth") == [(n, n)]


@pytest.mark.peers
def test_a_long_query_ends_with_the_processor_in_the_server_too(start: Start, postgres: Database) -> None:
    service = start(ground_truth=[_source(postgres, "SELECT 1 AS id, 1 AS price, now() AS sold_at FROM pg_sleep(600)")])
    running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mlmon' AND state = 'active'"
    wait(lambda: postgres.execute(running) == [(1,)])
    service.stop()
    assert not service._sources._thread.is_alive()
    wait(lambda: postgres.execute(running) == [(0,)])
    assert service._sources.status()[0]["error"] == ""


@pytest.mark.peers
def test_stop_does_not_wait_for_the_remaining_rows(start: Start, postgres: Database, tmp_path: Path) -> None:
    n = 1_000_000
    _sell(postgres, 0, n)
    config = {"store": {"path": tmp_path / "s.duckdb"}, "ground_truth": [_source(postgres, every="1h")]}
    service = start(**config)
    wait(lambda: _status(service)["stored"])
    service.stop()
    assert not service._sources._thread.is_alive()
    stored = service._sources.status()[0]["stored"]
    assert 0 < stored < n
    postgres.execute(f"DELETE FROM sold WHERE id >= {stored + 5000}")  # the next run starts again: no row is skipped
    service = start(**config)
    wait(lambda: _status(service)["last_run"])
    assert (_status(service)["duplicates"], _status(service)["stored"]) == (stored, 5000)


@pytest.mark.peers
def test_a_long_query_in_mysql_ends_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    running = "SELECT count(*) FROM information_schema.processlist WHERE command = 'Query' AND id <> connection_id()"
    with mariadb() as mysql:
        for sql in ("SELECT sleep(600) AS x", "SELECT a.seq AS x FROM seq_1_to_100000 a, seq_1_to_100000 b"):
            query = DatabaseQuery(sql, mysql.url, tmp_path, password_env="CRM_PASSWORD")
            _stopped_while_it_runs(query, lambda: mysql.execute(running) == [(1,)])
            wait(lambda: mysql.execute(running) == [(0,)])
        query = DatabaseQuery(sql, mysql.url, tmp_path, password_env="CRM_PASSWORD")
        with pytest.raises(ZeroDivisionError):  # billions of rows remain unread
            query.run(0, 10, lambda columns: 1 // 0)


def test_a_long_query_in_sqlite_ends_too(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "s.sqlite").executescript("CREATE TABLE t (x)")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS x FROM n"
    query = DatabaseQuery(endless, "sqlite:s.sqlite", tmp_path)
    _stopped_while_it_runs(query, lambda: query._cancel is not None)


def _stopped_while_it_runs(query: DatabaseQuery, runs: Callable[[], bool]) -> None:
    """Stop the query from another thread, like the scheduler, and check that it ends with an error."""
    errors: list[str] = []

    def run() -> None:
        try:
            query.run(0, 1000, lambda columns: None)
        except EvaluationError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    wait(runs)
    wait(lambda: [query.stop(), thread.join(0.2)] and not thread.is_alive())
    assert errors


@pytest.mark.peers
def test_a_table_that_grows_while_it_is_read(fetch: Fetch, postgres: Database) -> None:
    store = Store(None)
    look_back = SOLD.replace("$since", "$since - interval '1 day'")
    fetcher = fetch(store, GroundTruthSource.model_validate(_source(postgres, look_back)))
    through, n, grown = fetcher.made.store, 25_000, []
    _sell(postgres, 0, n)

    def while_it_grows(decoded: Decoded) -> Any:
        grown.append(n + 500 * len(grown))
        postgres.execute(  # committed now, and known for an hour
            f"INSERT INTO sold SELECT i, 1, to_timestamp({FIRST} + {n} - 3600) "
            f"FROM generate_series({grown[-1]}, {grown[-1] + 499}) i"
        )
        return through(decoded)

    fetcher.made.store = while_it_grows
    (status,) = fetcher.run()
    assert (status["stored"], len(grown), status["error"]) == (n, 3, "")
    fetcher.made.store = through
    (status,) = fetcher.run()
    assert (status["stored"], status["rejected"], status["error"]) == (n + 1500, 0, "")
    assert store.query("SELECT count(*), count(DISTINCT prediction_id) FROM mlmon_state.ground_truth") == [
        (n + 1500,) * 2
    ]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_writers_to_sqlite_are_not_locked_out_while_rows_are_stored(journal: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.execute("CREATE TABLE sold (id INTEGER)")
        db.executemany("INSERT INTO sold VALUES (?)", [(i,) for i in range(100)])
    taken: list[int] = []

    def take(columns: Any) -> None:
        with sqlite3.connect(tmp_path / "s.sqlite", timeout=0) as writer:
            writer.execute("INSERT INTO sold VALUES (-1)")
        taken.extend(columns["id"])

    DatabaseQuery("SELECT id FROM sold", "sqlite:s.sqlite", tmp_path).run(0, 30, take)
    assert taken == list(range(100))


def test_unreadable_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "no.sqlite").write_text("This is not a database, but it is long enough to be looked at." * 20)
    sqlite3.connect(tmp_path / "s.sqlite").executescript("CREATE TABLE t (x)")
    for place, sql, said in (
        ("nowhere.sqlite", "SELECT 1", f"found no file {tmp_path}/nowhere.sqlite"),
        ("no.sqlite", "SELECT x FROM t", "file is not a database"),
        ("s.sqlite", "SELECT x FROM absent", "no such table: absent"),
        ("s.sqlite", "SELECT x FROM t; DROP TABLE t", "one statement at a time"),
        ("s.sqlite", "DROP TABLE t", "syntax error"),
    ):
        with pytest.raises(EvaluationError, match=said):
            DatabaseQuery(sql, f"sqlite:{place}", tmp_path).run(0, 10, lambda columns: None)
    assert sqlite3.connect(tmp_path / "s.sqlite").execute("SELECT count(*) FROM t").fetchall() == [(0,)]


@pytest.mark.peers
def test_a_server_is_only_read(postgres: Database, tmp_path: Path) -> None:
    for sql, said in (
        ("INSERT INTO sold VALUES (1, 1, now()) RETURNING id", "syntax error"),
        ("WITH w AS (INSERT INTO sold VALUES (1, 1, now()) RETURNING id) SELECT id FROM w", "DECLARE CURSOR"),
        ("SELECT nextval('counted')", "read-only transaction"),
        ("SELECT id, id FROM sold", "column 'id' comes twice"),
        ("SELECT gone FROM sold", 'column "gone" does not exist'),
    ):
        postgres.execute("CREATE SEQUENCE IF NOT EXISTS counted")
        with pytest.raises(EvaluationError, match=said):
            DatabaseQuery(sql, postgres.url, tmp_path, password_env="CRM_PASSWORD").run(0, 10, lambda columns: None)
    assert postgres.execute("SELECT count(*) FROM sold") == [(0,)]
