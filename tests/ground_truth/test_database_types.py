"""Values of a database keep their type for every column type; otherwise the row is refused, counted and reported."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from batches import SECOND, predictions
from ground_truth.fetching import Fetch, Fetcher
from peers.databases import PASSWORD, Database, mariadb, postgresql

from otel_mlmon.server.config import GroundTruthSource
from otel_mlmon.store import Store

T = int(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()) * SECOND
FINE = T + 678_901_000
DAY = int(datetime(2026, 1, 2, tzinfo=UTC).timestamp()) * SECOND
UUID = "550e8400-e29b-41d4-a716-446655440000"
# Messages about refused rows.
REFUSED = "allowed are a number, a text and a truth value"
NO_TIME = "allowed are ISO 8601"
NO_ID = "allowed is the id of a prediction"

Cases = dict[str, tuple[str, Any]]  # SQL of a value (with its type) → stored value

POSTGRES: dict[str, Cases] = {
    "value": {
        "12.50::numeric(10,2)": (12.5, "12.5"),
        "3::numeric(10,2)": (3, "3"),
        "12.345678901234567890::numeric": (12.345678901234567, "12.345678901234567"),
        "'NaN'::numeric": (None, None),
        "'NaN'::float8": (None, None),
        "'Infinity'::numeric": (float("inf"), "inf"),
        "NULL::text": (None, None),
        "0.1::float4": (0.1, "0.1"),
        "7::smallint": (7, "7"),
        "5000000000::bigint": (5e9, "5000000000"),
        "true": (1, "true"),
        "false": (0, "false"),
        "'late'::outcome": (None, "late"),
        "'x'::text": (None, "x"),
        "'x'::char(8)": (None, "x"),
        "9.5::price": (9.5, "9.5"),
        f"'{UUID}'::uuid": (None, UUID),
        "'2026-01-02'::date": (None, "2026-01-02"),
        "'{\"a\": 1}'::jsonb": REFUSED,
        "'{1}'::int[]": REFUSED,
        "'12:00'::time": REFUSED,
        "'1 day'::interval": REFUSED,
        "'\\x01'::bytea": REFUSED,
        "'12%'::text": (None, "12%"),
    },
    "time": {
        "'2026-01-02 05:49:05+02:45'::timestamptz": T,
        "'2026-01-02 03:04:05.678901+00'::timestamptz": FINE,
        "'2026-01-02 03:04:05'::timestamp": T,
        "'2026-01-02'::date": DAY,
        "1767323045::bigint": T,
        "1767323045678901::bigint": FINE,
        "1767323045::float8": T,
        "1767323045::numeric": T,
        "'2026-01-02T05:49:05+02:45'::text": T,
        "'infinity'::timestamptz": NO_TIME,
        "'-infinity'::date": NO_TIME,
        "'0044-03-15 BC'::date": NO_TIME,
        "NULL::timestamptz": NO_TIME,
        "'soon'::text": NO_TIME,
        "17::int": NO_TIME,
    },
    "id": {
        "'007'::text": "007",
        "'x'::char(8)": "x",
        f"'{UUID}'::uuid": UUID,
        "42::int": "42",
        "9007199254740993::bigint": "9007199254740993",
        "9007199254740993::numeric": "9007199254740993",
        "42.00::numeric(10,2)": "42",
        "42::float8": "42",
        "1e17::float8": NO_ID,
        "NULL::text": NO_ID,
        "''::text": NO_ID,
        "true": NO_ID,
        "'NaN'::numeric": NO_ID,
        "'10.0.0.1'::inet": "10.0.0.1",
    },
}
SQLITE: dict[str, Cases] = {
    "value": {
        "cast(12.50 AS NUMERIC)": (12.5, "12.5"),
        "3": (3, "3"),
        "3.0": (3, "3"),
        "'x'": (None, "x"),
        "'1'": (None, "1"),
        "NULL": (None, None),
        "1 < 2": (1, "1"),
        "x'01'": REFUSED,
        "cast(x'c3ff' AS TEXT)": (None, "\ufffd\ufffd"),
    },
    "time": {
        "'2026-01-02 03:04:05'": T,
        "'2026-01-02T03:04:05Z'": T,
        "'2026-01-02 05:49:05+02:45'": T,
        "'2026-01-02 03:04:05.678901'": FINE,
        "'2026-01-02'": DAY,
        "1767323045": T,
        "1767323045000": T,
        "1767323045.0": T,
        "NULL": NO_TIME,
        "'soon'": NO_TIME,
        "2461042.63": NO_TIME,
    },
    "id": {
        "'007'": "007",
        "42": "42",
        "42.0": "42",
        "9007199254740993": "9007199254740993",
        f"'{UUID}'": UUID,
        "NULL": NO_ID,
        "x'01'": NO_ID,
    },
}
MYSQL: dict[str, Cases] = {
    "value": {
        "cast(12.50 AS DECIMAL(10,2))": (12.5, "12.5"),
        "cast(3 AS DECIMAL(10,2))": (3, "3"),
        "0.1e0": (0.1, "0.1"),
        "true": (1, "1"),
        "'x'": (None, "x"),
        "(SELECT kind FROM kinds)": (None, "late"),
        "NULL": (None, None),
        "cast('12:00' AS TIME)": REFUSED,
        "cast('x' AS BINARY)": REFUSED,
        "'12%'": (None, "12%"),
    },
    "time": {
        "(SELECT at FROM kinds)": T,
        "cast('2026-01-02 03:04:05.678901' AS DATETIME(6))": FINE,
        "cast('2026-01-02' AS DATE)": DAY,
        "1767323045": T,
        "NULL": NO_TIME,
        "(SELECT never FROM kinds)": NO_TIME,
    },
    "id": {
        "'007'": "007",
        "42": "42",
        "cast(9007199254740993 AS DECIMAL(20,0))": "9007199254740993",
        f"cast('{UUID}' AS UUID)": UUID,
        "NULL": NO_ID,
        "''": NO_ID,
    },
}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Database]:
    with postgresql() as server:
        server.execute(
            "CREATE TYPE outcome AS ENUM ('paid', 'late')", "CREATE DOMAIN price AS numeric(10,2) CHECK (value > 0)"
        )
        yield server


@pytest.fixture(scope="module")
def mysql() -> Iterator[Database]:
    with mariadb() as server:
        server.execute(
            "CREATE TABLE kinds (kind ENUM('paid', 'late'), at TIMESTAMP, never DATE)",
            "SET sql_mode = ''",
            "SET time_zone = '+02:45'",
            "INSERT INTO kinds VALUES ('late', '2026-01-02 05:49:05', '0000-00-00')",
        )
        yield server


def _arrived(fetcher: Fetcher, store: Store, role: str, sources: list[GroundTruthSource]) -> dict[str, Any]:
    """Return the stored value, or the reason of the refusal, by the SQL of the value, which names the source."""
    wanted = {"value": "number, text", "time": "time", "id": "prediction_id"}[role]
    found: dict[str, Any] = {}
    for source, status in zip(sources, fetcher.run(), strict=True):
        assert status["error"] == ""
        assert status["stored"] + status["rejected"] == 1
        rows = store.query(f"SELECT {wanted} FROM mlmon_state.ground_truth WHERE model = '{source.model}'")
        found[source.name] = status["message"] if status["rejected"] else rows[0] if role == "value" else rows[0][0]
    return found


def _check(fetch: Fetch, database: dict[str, Any], role: str, cases: Cases) -> None:
    ordinary = {"id": "'a'", "value": "1", "time": "'2026-01-02T00:00:00Z'"}
    sources = [
        GroundTruthSource.model_validate(
            {
                "name": case,
                "model": f"m{i}",
                "id": "id",
                "value": "value",
                "time": "time",
                **database,
                "query": "SELECT "
                + ", ".join(f"{sql} AS {column}" for column, sql in {**ordinary, role: case}.items()),
            }
        )
        for i, case in enumerate(cases)
    ]
    store = Store(None)
    found = _arrived(fetch(store, *sources), store, role, sources)
    for case, wanted in cases.items():
        if isinstance(wanted, str) and wanted in (REFUSED, NO_TIME, NO_ID):
            assert wanted in str(found[case]), case
            assert found[case].startswith("row 1: "), case
        else:
            assert found[case] == wanted, case


@pytest.mark.peers
@pytest.mark.parametrize("role", POSTGRES)
def test_postgresql(fetch: Fetch, postgres: Database, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    _check(fetch, {"database": postgres.url, "password_env": "CRM_PASSWORD"}, role, POSTGRES[role])


@pytest.mark.peers
@pytest.mark.parametrize("role", MYSQL)
def test_mysql(fetch: Fetch, mysql: Database, role: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    _check(fetch, {"database": mysql.url, "password_file": "password", "directory": tmp_path}, role, MYSQL[role])


@pytest.mark.parametrize("role", SQLITE)
def test_sqlite(fetch: Fetch, role: str, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "some where?.sqlite").executescript("CREATE TABLE t (x)")
    _check(fetch, {"database": "sqlite:some where?.sqlite", "directory": tmp_path}, role, SQLITE[role])


@pytest.mark.peers
def test_since_takes_new_rows(fetch: Fetch, postgres: Database, mysql: Database, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    lite = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    server = {"password_file": "password"}
    kinds: list[tuple[Callable[[str], Any], str, str, dict[str, Any]]] = [
        (lite.execute, "TEXT", "datetime(at) > $since", {"database": "sqlite:s.sqlite"}),
        (lite.execute, "INTEGER", "at > unixepoch($since)", {"database": "sqlite:s.sqlite"}),
        (postgres.execute, "timestamptz", "at > $since", {"database": postgres.url, **server}),
        (postgres.execute, "timestamp", "at > $since", {"database": postgres.url, **server}),
        (postgres.execute, "bigint", "at > extract(epoch from $since)", {"database": postgres.url, **server}),
        (mysql.execute, "TIMESTAMP", "at > $since", {"database": mysql.url, **server}),
        (mysql.execute, "DATETIME", "at > $since", {"database": mysql.url, **server}),
        (mysql.execute, "BIGINT", "at > unix_timestamp($since)", {"database": mysql.url, **server}),
    ]
    for i, (execute, kind, condition, database) in enumerate(kinds):
        execute(f"CREATE TABLE since{i} (id INTEGER, at {kind})")
        # The sessions of MariaDB and PostgreSQL are at +05:45 here: they read a TIMESTAMP with a zone as another hour.
        local = 20_700 if kind == "TIMESTAMP" else 0
        fetcher = fetch(
            Store(None),
            GroundTruthSource.model_validate(
                {
                    "name": "s",
                    "model": "m",
                    "id": "id",
                    "value": "id",
                    "time": "at",
                    "directory": tmp_path,
                    **database,
                    "query": f"SELECT id, at FROM since{i} -- all of it\nWHERE {condition} AND 'a%' LIKE 'a%';",
                }
            ),
        )
        for round_ in range(3):
            at = T // SECOND + round_
            zone = "+00" if kind == "timestamptz" else ""
            text = f"'{datetime.fromtimestamp(at + local, UTC).replace(tzinfo=None)}{zone}'"
            execute(
                f"INSERT INTO since{i} VALUES ({round_}, {at if kind in ('bigint', 'BIGINT', 'INTEGER') else text})"
            )
            (status,) = fetcher.run()
            assert (status["stored"], status["duplicates"], status["error"]) == (round_ + 1, 0, ""), (kind, condition)
            assert status["newest"] == at * SECOND, (kind, condition)


def test_bad_row_of_a_mixed_sqlite_column_is_rejected_alone(fetch: Fetch, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        db.executescript("""
            CREATE TABLE sold (offer INTEGER, price DECIMAL(10,2), at TIMESTAMPTZ);
            INSERT INTO sold VALUES
                (1, 12.5, '2026-01-02 05:49:05+02:45'),
                (2, 'cheap', 1767323045000),
                (3, 3, 'soon'),
                ('4', '4', '2026-01-02T03:04:05Z');
        """)
    source = GroundTruthSource.model_validate(
        {
            "name": "s",
            "model": "m",
            "query": "SELECT * FROM sold;",
            "database": "sqlite:s.sqlite",
            "directory": tmp_path,
            "id": "offer",
            "value": "price",
            "time": "at",
        }
    )
    store = Store(None)
    (status,) = fetch(store, source).run()
    assert (status["stored"], status["rejected"], status["newest"]) == (3, 1, T)
    assert status["message"].startswith("row 3: 'at' is \"soon\"; allowed are ISO 8601")
    assert store.query("SELECT prediction_id, time, number, text FROM mlmon_state.ground_truth ORDER BY ALL") == [
        ("1", T, 12.5, "12.5"),
        ("2", T, None, "cheap"),
        ("4", T, 4, "4"),
    ]


def test_configuration_turns_numbers_into_truth_values(fetch: Fetch, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        db.execute("CREATE TABLE churn (id TEXT, churned BOOLEAN, at TEXT)")
        db.executemany("INSERT INTO churn VALUES (?, ?, '2026-01-02')", [("a", 1), ("b", 0), ("c", 2), ("d", None)])
    for boolean, outcomes in (
        (False, {"joined": 3, "wrong_type": 3, "taken_back": 1}),
        (True, {"joined": 3, "wrong_type": 1, "taken_back": 1}),
    ):
        store = Store(None)
        store.commit([predictions([{"x": 1}] * 4, [True] * 4, ids=list("abcd"), times=[DAY] * 4)], 0)
        source = GroundTruthSource.model_validate(
            {
                "name": "s",
                "model": "m",
                "query": "SELECT * FROM churn",
                "database": "sqlite:s.sqlite",
                "directory": tmp_path,
                "id": "id",
                "value": "churned",
                "time": "at",
                "boolean": boolean,
            }
        )
        assert fetch(store, source).run()[0]["stored"] == 4
        store.ground_truth.settle(store.seq())
        assert {k: n for k, n in store.ground_truth.results()["m"].items() if n} == outcomes
