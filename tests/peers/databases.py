"""Run a PostgreSQL and a MariaDB server on loopback, each in its own directory and as a user without rights.

As in `processes`: without the programs the test is skipped, or fails when MLMON_REQUIRE_PEERS=1 is set.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pymysql
from peers.processes import HOST, free_ports, require_peer, run_process

USER = "mlmon"
PASSWORD = "s3cr3t pass'w%rd@#/"  # with all characters that need quoting
_NOBODY: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


class Database(Protocol):
    """A server that can be stopped and started again, with its data and port."""

    url: str

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def execute(self, *statements: str) -> list[Sequence[Any]]:
        """Run and commit statements; rows of the last."""


class _Server:
    def __init__(self, directory: Path, argv: Sequence[str | Path]) -> None:
        self._directory = directory
        self._argv = argv
        self._running = ExitStack()

    def start(self) -> None:
        log = self._directory / "log"
        running = run_process(self._argv, self._answers, log, cwd=self._directory, **_NOBODY)
        self._process = self._running.enter_context(running)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)  # PostgreSQL: at once, without waiting for its clients
        self._running.close()

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (psycopg.OperationalError, pymysql.OperationalError):
            return False
        return True

    def execute(self, *statements: str) -> list[Sequence[Any]]:
        raise NotImplementedError


class _Postgres(_Server):
    def __init__(self, directory: Path, programs: Path, port: int) -> None:
        settings = (f"listen_addresses={HOST}", "unix_socket_directories=", "fsync=off", "timezone=Asia/Kathmandu")
        data = directory / "data"
        super().__init__(directory, [programs / "postgres", "-D", data, "-p", str(port), *(f"--{s}" for s in settings)])
        self.url = f"postgresql://{USER}@{HOST}:{port}/postgres"

    def execute(self, *statements: str) -> list[Sequence[Any]]:
        with psycopg.connect(self.url, password=PASSWORD, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


class _Mariadb(_Server):
    def __init__(self, directory: Path, program: Path, port: int) -> None:
        places = {"datadir": "data", "socket": "socket", "pid-file": "pid", "init-file": "init.sql"}
        own = [f"--{option}={directory / place}" for option, place in places.items()]
        zone = "--default-time-zone=+05:45"
        super().__init__(directory, [program, "--no-defaults", *own, f"--port={port}", f"--bind-address={HOST}", zone])
        self.url = f"mysql://{USER}@{HOST}:{port}/mlmon"
        self._port = port

    def execute(self, *statements: str) -> list[Sequence[Any]]:
        with (
            pymysql.connect(
                host=HOST, port=self._port, user=USER, password=PASSWORD, database="mlmon", autocommit=True
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())


@contextmanager
def _directory(*files: tuple[str, str]) -> Iterator[Path]:
    """Make a directory that the user without rights owns, unlike pytest's."""
    path = Path(tempfile.mkdtemp(prefix="mlmon-database-"))
    try:
        for name, text in files:
            (path / name).write_text(text)
        if _NOBODY:
            for owned in (path, *path.iterdir()):
                shutil.chown(owned, _NOBODY["user"], _NOBODY["group"])
        yield path
    finally:
        shutil.rmtree(path)


def _prepare(directory: Path, *argv: str | Path) -> None:
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False, cwd=directory, **_NOBODY)
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def postgresql() -> Iterator[Database]:
    """A running PostgreSQL with an empty database. Its time zone is not UTC."""
    programs = require_peer("postgres").resolve().parent
    (port,) = free_ports(1)
    with _directory(("password", PASSWORD)) as directory:
        _prepare(
            directory,
            programs / "initdb",
            "-D",
            directory / "data",
            "-U",
            USER,
            "--auth=scram-sha-256",
            f"--pwfile={directory / 'password'}",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
        )
        server = _Postgres(directory, programs, port)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def mariadb() -> Iterator[Database]:
    """A running MariaDB with an empty database. Its time zone is not UTC."""
    program = require_peer("mariadbd")
    (port,) = free_ports(1)
    quoted = PASSWORD.replace("'", "''")
    first = (
        "CREATE DATABASE IF NOT EXISTS mlmon;\n"
        f"CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{quoted}';\nGRANT ALL ON mlmon.* TO {USER}@'%';\n"
    )
    with _directory(("init.sql", first)) as directory:
        _prepare(
            directory,
            require_peer("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={directory / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        server = _Mariadb(directory, program, port)
        server.start()
        try:
            yield server
        finally:
            server.stop()
