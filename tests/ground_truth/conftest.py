"""A running service in this process, and one in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from e2e.live import serve
from ground_truth.fetching import Fetcher

from otel_mlmon.server.config import parse_config
from otel_mlmon.server.service import Service

__all__ = ["serve"]


@pytest.fixture
def fetch() -> Iterator[Callable[..., Fetcher]]:
    """Makes fetchers."""
    made: list[Fetcher] = []

    def make(*given: Any) -> Fetcher:
        made.append(Fetcher(*given))
        return made[-1]

    yield make
    for fetcher in made:
        fetcher.pipeline.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Start a service on free ports of loopback, in memory unless `config` has a path."""
    running: list[Service] = []

    def run(**config: Any) -> Service:
        body = {
            "store": {"path": None},
            "receive": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"},
            "web": {"listen": "127.0.0.1:0"},
            **config,
        }
        running.append(Service(parse_config(body, "test")))
        running[-1].start()
        return running[-1]

    yield run
    for service in running:
        service.stop()
