"""The configuration file: defaults, and every mistake by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from otel_mlmon.errors import ConfigError
from otel_mlmon.server.config import Config, load_config

HOUR = 3600 * 10**9


def test_an_empty_file_is_the_defaults_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_text("")
    found = load_config(path)
    assert found.store.path == tmp_path / "mlmon.duckdb"
    assert found.model_copy(update={"store": Config().store}) == Config()
    assert found.receive.grpc.startswith("127.0.0.1:"), "nothing listens to the world unless told to"


def test_a_full_file_says_everything(tmp_path: Path) -> None:
    body = {
        "store": {"path": None, "memory_limit": "2GB", "threads": 1, "retention": "7d", "dedup_margin": "2h"},
        "receive": {"grpc": "0.0.0.0:1", "http": "[::1]:2", "max_body_bytes": 5000, "max_queue_rows": 6},
        "window": {"pane": "5m", "lateness": "30s", "ahead": "1m", "ground_truth_horizon": "90d"},
        "web": {"listen": "127.0.0.1:0", "external_url": "https://mlmon.example"},
        "rules": ["rules"],
        "references": ["/etc/references"],
        "export": {
            "alertmanager": ["http://a"],
            "webhooks": ["http://b"],
            "resend": "2m",
            "otlp": {"endpoint": "http://c", "interval": "1m"},
        },
    }
    path = tmp_path / "mlmon.yaml"
    path.write_text(yaml.safe_dump(body))
    found = load_config(path)
    assert (found.store.path, found.store.retention, found.store.dedup_margin) == (None, 7 * 24 * HOUR, 2 * HOUR)
    assert (found.receive.http, found.window.pane, found.export.resend) == ("[::1]:2", HOUR // 12, HOUR // 30)
    assert found.rules == (tmp_path / "rules",)
    assert found.references == (Path("/etc/references"),)
    assert found.export.otlp is not None
    assert found.export.otlp.interval == HOUR // 60


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_text("store: {retention: 7}\nreceive: {grpc: here}\nwindows: {}\nweb: {listen: '1.2.3.4:99999'}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()] == [
        "store.retention: found 7, allowed is a duration with a unit, e.g. 60s, 1h30m, 7d",
        "receive.grpc: found 'here', allowed is host:port, e.g. 127.0.0.1:4317 (port 0: any free one)",
        "web.listen: found '1.2.3.4:99999', allowed is host:port, e.g. 127.0.0.1:4317 (port 0: any free one)",
        "windows: unknown key",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"- 1"])
def test_what_is_no_configuration_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"mlmon\.yaml"):
        load_config(path)


def test_environment_wins_over_the_file_and_options_win_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_text("store: {memory_limit: 1GB, threads: 1, retention: 7d}\nrules: [a]\n")
    for name, value in {
        "MLMON_STORE__THREADS": "3",
        "MLMON_STORE__RETENTION": "8d",
        "MLMON_WINDOW__PANE": "5m",
        "MLMON_RULES": "[b, c]",
        "MLMON_EXPORT__OTLP__ENDPOINT": "http://c",
        "MLMON_GROUND_TRUTH": "[{name: sold, query: SELECT 1, time: at, keys: [id]}]",
        "MLMON_PROCESSOR": "not a key of the configuration",
    }.items():
        monkeypatch.setenv(name, value)
    found = load_config(path, {"store": {"retention": "9d"}, "window": {"lateness": "2m"}})
    assert (found.store.memory_limit, found.store.threads, found.store.retention) == ("1GB", 3, 9 * 24 * HOUR)
    assert (found.window.pane, found.window.lateness) == (HOUR // 12, HOUR // 30)
    assert found.rules == (Path("b"), Path("c"))
    assert found.export.otlp is not None
    assert found.export.otlp.endpoint == "http://c"
    assert found.ground_truth[0].keys == {"id": "id"}
    assert found.store.path == tmp_path / "mlmon.duckdb"


def test_environment_alone_can_keep_the_store_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLMON_STORE__PATH", "null")
    assert load_config(None).store.path is None


def test_mistake_names_the_layer_that_it_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_text("store: {retention: 7, threads: 1}\nwindow: {pane: 1m}\n")
    monkeypatch.setenv("MLMON_STORE__PTH", "x")
    monkeypatch.setenv("MLMON_WINDOW__PANE", "soon")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {"receive": {"grpc": "here"}})
    assert {line.partition(": found")[0] for line in str(caught.value).splitlines()} == {
        f"{path}: store.retention",
        "environment: store.pth: unknown key",
        "environment: window.pane",
        "command line: receive.grpc",
    }
