"""Fixtures for tests of monitors: their events are kept in memory or go to an OTLP server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sdk.sdk_receivers import Emitted, OtlpServer

from otel_mlmon import Monitor
from otel_mlmon.sdk import guard


@pytest.fixture
def emitted() -> Emitted:
    return Emitted()


@pytest.fixture(autouse=True)
def errors_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.RAISE_VARIABLE, "true")
    monkeypatch.setattr(guard, "_logged", set())
    monkeypatch.setattr(guard, "_warned", set())


@pytest.fixture
def make_monitor(emitted: Emitted) -> Iterator[Callable[..., Monitor]]:
    made: list[Monitor] = []

    def make(name: str = "house", version: str = "1", **arguments: Any) -> Monitor:
        # No flush by the clock: tests flush themselves.
        arguments = {"logger_provider": emitted.provider, "flush_interval_s": 3600.0} | arguments
        made.append(Monitor(name, version, **arguments))
        return made[-1]

    yield make
    for monitor in made:
        monitor._retire()


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    running = OtlpServer()
    yield running
    running.close()
