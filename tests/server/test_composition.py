"""The composition root: started parts end when a later one cannot start."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests
from peers.processes import free_ports

from otel_mlmon.errors import ConfigError
from otel_mlmon.server.config import parse_config
from otel_mlmon.server.service import Service


def _service(store: Path, web: int, grpc: str = "127.0.0.1:0") -> Service:
    body = {
        "store": {"path": str(store)},
        "receive": {"grpc": grpc, "http": "127.0.0.1:0"},
        "web": {"listen": f"127.0.0.1:{web}"},
    }
    return Service(parse_config(body, "test"))


def test_failed_start_releases_store_ports_and_threads(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    (web,) = free_ports(1)
    with pytest.raises(ConfigError, match="cannot listen"):
        _service(tmp_path / "store.duckdb", web, grpc="192.0.2.1:4317").start()
    left = [t for t in threading.enumerate() if t not in before and t.is_alive() and t.name.startswith("mlmon")]
    assert not left
    service = _service(tmp_path / "store.duckdb", web)
    service.start()
    assert requests.get(f"http://127.0.0.1:{web}/readyz", timeout=5).text == "ready\n"
    service.stop()
    service.stop()  # does nothing the second time
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{web}/healthz", timeout=5)
