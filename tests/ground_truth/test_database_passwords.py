"""The password of a database: from the environment or a file, never from the configuration, and never shown."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ground_truth.fetching import wait
from peers.databases import PASSWORD, USER, Database, mariadb, postgresql

from otel_mlmon.errors import ConfigError, EvaluationError
from otel_mlmon.server.config import load_config
from otel_mlmon.server.service import Service
from otel_mlmon.store.ground_truth_query import DatabaseQuery

WRONG = "hunter2%"
ONE = "SELECT 1 AS x"


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.peers) for kind in ("postgresql", "mariadb")]
)
def server(request: pytest.FixtureRequest) -> Iterator[Database]:
    with {"postgresql": postgresql, "mariadb": mariadb}[request.param]() as running:
        yield running


def _rows(query: DatabaseQuery) -> int:
    found: list[Any] = []
    query.run(0, 10, lambda columns: found.extend(columns["x"]))
    return len(found)


def test_a_file_is_read_anew_for_each_run(server: Database, tmp_path: Path) -> None:
    query = DatabaseQuery(ONE, server.url, tmp_path, password_file=Path("secret"))
    with pytest.raises(EvaluationError, match=r"password_file: .*No such file"):
        _rows(query)
    (tmp_path / "secret").write_text(WRONG)
    with pytest.raises(EvaluationError, match=r"(password authentication failed|Access denied)") as caught:
        _rows(query)
    assert WRONG not in str(caught.value)
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    assert _rows(query) == 1


def test_password_from_a_variable(server: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = DatabaseQuery(ONE, server.url, tmp_path, password_env="CRM_PASSWORD")
    with pytest.raises(EvaluationError, match="password_env: the environment has no CRM_PASSWORD"):
        _rows(query)
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    assert _rows(query) == 1


@pytest.mark.peers
def test_password_from_variables_and_files_of_libpq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgresql() as server:
        host, port = server.url.rpartition("@")[2].partition("/")[0].split(":")
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
        assert _rows(DatabaseQuery(ONE, server.url, tmp_path)) == 1
        monkeypatch.delenv("PGPASSWORD")
        escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
        (tmp_path / "pgpass").write_text(f"*:*:*:*:{escaped}\n")
        (tmp_path / "pgpass").chmod(0o600)
        (tmp_path / "services").write_text(f"[crm]\nhost={host}\nport={port}\nuser={USER}\ndbname=postgres\n")
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        assert _rows(DatabaseQuery(ONE, "postgresql://?service=crm", tmp_path)) == 1


def test_password_is_shown_nowhere(
    server: Database, start: Callable[..., Service], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("RIGHT", PASSWORD)
    monkeypatch.setenv("WRONG", WRONG)
    common = {"model": "m", "database": server.url, "query": "SELECT x FROM nowhere", "time": "at", "every": "1s"}
    service = start(
        ground_truth=[
            {**common, "name": "unknown table", "password_env": "RIGHT"},
            {**common, "name": "locked out", "password_env": "WRONG"},
        ]
    )
    wait(lambda: all(source["error"] for source in service.reports.status()["ground_truth_sources"]))
    pages = [requests.get(f"{service.web_url}{path}", timeout=10).text for path in ("/api/v1/status", "/metrics", "/")]
    assert "locked out" in pages[0]
    assert "ground truth source locked out" in caplog.text
    for text in (json.dumps(service.reports.status(), ensure_ascii=False), caplog.text, *pages):
        assert PASSWORD not in text
        assert WRONG not in text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{WRONG}@crm/db",
        f"mysql://u:{WRONG}@crm/db",
        f"postgresql://crm/db?user=u&password={WRONG}",
        f"postgresql://u:p@{WRONG}@crm/db",
        f"postgresql://u:/{WRONG}@crm/db",
        f"mysql://u:#{WRONG}@crm/db",
        f"mysql://u:?{WRONG}@crm/db",
        f"postgresql://crm/db?sslpassword={WRONG}",
        f"postgres://u:{WRONG}@crm/db",
        f"host=crm password={WRONG}",
        f"mysql://crm:{WRONG}/db",
        f"mysql://crm/db?passwd={WRONG}",
    ],
)
def test_configuration_refuses_a_password(url: str, tmp_path: Path) -> None:
    path = tmp_path / "mlmon.yaml"
    source = {"name": "a", "model": "m", "query": ONE, "time": "at", "database": url}
    path.write_text(json.dumps({"ground_truth": [source]}))
    with pytest.raises(ConfigError, match=r"ground_truth\.0\.database: ") as caught:
        load_config(path)
    assert WRONG not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"database": "sqlite:///var/sales.sqlite"}, "allowed is sqlite:FILE"),
        ({"database": "oracle://crm"}, "allowed are sqlite:FILE, postgresql://"),
        ({"database": "mysql://crm/db?ssl=1"}, "found the option 'ssl', allowed are ssl_ca"),
        ({"database": "sqlite:a", "password_env": "X"}, "found more passwords than needed"),
        ({"database": "mysql://crm/db", "password_env": "X", "password_file": "x"}, "found more passwords than needed"),
        ({"database": "sqlite:a", "attach": [{"path": "x", "as": "x"}]}, "found database and attach"),
        ({"boolean": True}, "found boolean without database"),
        ({"attach": [{"path": "x", "as": "x", "type": "postgres"}]}, "unknown key"),
    ],
)
def test_mistakes_are_found_at_the_start(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_text(json.dumps({"ground_truth": [{"name": "a", "model": "m", "query": ONE, "time": "at", **given}]}))
    with pytest.raises(ConfigError, match=said):
        load_config(path)
    for good in (
        "sqlite:/var/a.sqlite",
        "postgresql://u@h1:1,h2:2/db?target_session_attrs=any",
        "mysql://u%40x@h:1/db?ssl_ca=x",
    ):
        path.write_text(json.dumps({"ground_truth": [{"name": "a", "query": ONE, "time": "at", "database": good}]}))
        assert load_config(path).ground_truth[0].database == good
