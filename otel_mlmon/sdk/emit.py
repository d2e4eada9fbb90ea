"""Emit log records. Only this module uses OpenTelemetry's logs API, which Python still marks as private."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry._logs import (
    LoggerProvider,
    LogRecord,
    SeverityNumber,
    get_logger,
    get_logger_provider,
    set_logger_provider,
)
from opentelemetry.context import Context, attach, detach

from otel_mlmon.sdk.measure import package_version
from otel_mlmon.wire import semconv

__all__ = ["Emitter", "LoggerProvider", "get_logger_provider", "set_logger_provider", "size_aware"]

# OpenTelemetry's own batch processor exports up to 512 waiting records in one request. It is flushed before more than
# this waits, so that the request stays under the Collector's default limit of 4 MiB.
_PACE_BYTES: Final = 3 * 1024 * 1024

size_aware: Final[weakref.WeakSet[Any]] = weakref.WeakSet()  # providers that bound their requests by bytes themselves


class _Pace:
    """Bytes handed to one provider since it was last flushed; shared by all models that emit to it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0


_paces: Final[weakref.WeakKeyDictionary[Any, _Pace]] = weakref.WeakKeyDictionary()
os.register_at_fork(after_in_child=_paces.clear)


class Emitter:
    """Emit events to `provider`; None: to the provider that is global at that moment."""

    def __init__(self, provider: LoggerProvider | None) -> None:
        self._given = provider

    @property
    def provider(self) -> LoggerProvider:
        """The provider that takes the events now."""
        return get_logger_provider() if self._given is None else self._given

    def enabled(self, event: str) -> bool:
        """Whether a provider takes the event: False without one, with OTEL_SDK_DISABLED, or by configuration."""
        return bool(self._logger().enabled(event_name=event))

    def emit(self, event: str, time: int, body: bytes, attributes: Mapping[str, str | int]) -> None:
        """Emit one log record; first flush the provider if its next export would become too large."""
        provider = self.provider
        if provider not in size_aware:
            pace = _paces.setdefault(provider, _Pace())
            with pace.lock:
                full = pace.waiting and pace.waiting + len(body) > _PACE_BYTES
            if full:
                self.flush(30.0)
            with pace.lock:
                pace.waiting += len(body) + 1024
        # The batch belongs to no span, also if flush() is called inside one.
        token = attach(Context())
        try:
            self._logger().emit(
                LogRecord(
                    timestamp=time,
                    severity_number=SeverityNumber.INFO,
                    body=body,
                    attributes=dict(attributes),
                    event_name=event,
                )
            )
        finally:
            detach(token)

    def flush(self, timeout_s: float) -> bool:
        """Make the provider export everything. Return False if it failed or was late."""
        provider = self.provider
        flush = getattr(provider, "force_flush", None)
        done = bool(flush(max(1, int(timeout_s * 1000)))) if callable(flush) else True
        if pace := _paces.get(provider):
            with pace.lock:
                pace.waiting = 0
        return done

    def end_round(self) -> None:
        """Flush the records of this round, so that the next round starts at 0 bytes."""
        pace = _paces.get(self.provider)
        if pace is not None and pace.waiting:
            self.flush(30.0)

    def _logger(self) -> Any:
        return get_logger(semconv.SCOPE_NAME, package_version(), self._given, semconv.SCHEMA_URL)
