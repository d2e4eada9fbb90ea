"""A real processor in its own process, and the real data sets if they are installed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from peers.processes import answers, free_ports, run_process

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True)
class Processor:
    """A running `mlmon serve`."""

    web: str
    otlp: str
    grpc_port: int
    http_port: int
    web_port: int
    store: Path
    pid: int

    def get(self, path: str) -> Any:
        """JSON of the API."""
        return requests.get(f"{self.web}{path}", timeout=10).json()

    def metrics(self) -> str:
        """The exposition."""
        return requests.get(f"{self.web}/metrics", timeout=10).text


Serve = Callable[..., AbstractContextManager[Processor]]


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """Start `mlmon serve`; `config` is merged over a configuration on free loopback ports."""

    @contextlib.contextmanager
    def start(rules: str = "", *, ports: tuple[int, ...] | None = None, **config: Any) -> Iterator[Processor]:
        grpc, http, web = ports or free_ports(3)
        rule_file = tmp_path / "rules.yaml"
        rule_file.write_text(rules)
        body = {
            "store": {"path": str(tmp_path / "mlmon.duckdb"), "retention": "20000d"},
            "receive": {"grpc": f"127.0.0.1:{grpc}", "http": f"127.0.0.1:{http}"},
            "web": {"listen": f"127.0.0.1:{web}"},
            "rules": [str(rule_file)] if rules else [],
            **config,
        }
        path = tmp_path / "mlmon.yaml"
        path.write_text(yaml.safe_dump(body))
        argv = [str(Path(sys.executable).parent / "mlmon"), "serve", "--config", str(path)]
        with run_process(
            argv, ready=lambda: answers(http, "/v1/logs") and answers(web, "/healthz"), log=tmp_path / "mlmon.log"
        ) as process:
            yield Processor(
                f"http://127.0.0.1:{web}",
                f"http://127.0.0.1:{http}",
                grpc,
                http,
                web,
                tmp_path / "mlmon.duckdb",
                process.pid,
            )

    return start


def real(name: str) -> Path:
    """Return the path of a real data set; skip the test without it."""
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    return DATA / name
