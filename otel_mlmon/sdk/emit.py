"""The only module that touches the logs API of OpenTelemetry, which in Python is still marked private."""

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

# A stock batch processor exports whatever waits, up to 512 records, in one request. So it is flushed before more than
# this waits, and the request stays under the 4 MiB that the Collector takes by default.
_PACE_BYTES: Final = 3 * 1024 * 1024

size_aware: Final[weakref.WeakSet[Any]] = weakref.WeakSet()  # providers whose requests are bounded by bytes anyway


class _Pace:
    """Bytes handed to one provider since it was last flushed; shared by all models that emit to it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = 0


_paces: Final[weakref.WeakKeyDictionary[Any, _Pace]] = weakref.WeakKeyDictionary()
os.register_at_fork(after_in_child=_paces.clear)


class Emitter:
    """Emits events to `provider`, or to the global one as it is at that moment."""

    def __init__(self, provider: LoggerProvider | None) -> None:
        self._given = provider

    @property
    def provider(self) -> LoggerProvider:
        """Where events go now."""
        return get_logger_provider() if self._given is None else self._given

    def enabled(self, event: str) -> bool:
        """Whether anybody takes the event: False without a provider, with OTEL_SDK_DISABLED, or by configuration."""
        return bool(self._logger().enabled(event_name=event))

    def emit(self, event: str, time: int, body: bytes, attributes: Mapping[str, str | int]) -> None:
        """One log record; flushes the provider first if its next export would become too large."""
        provider = self.provider
        if provider not in size_aware:
            pace = _paces.setdefault(provider, _Pace())
            with pace.lock:
                full = pace.waiting and pace.waiting + len(body) > _PACE_BYTES
            if full:
                self.flush(30.0)
            with pace.lock:
                pace.waiting += len(body) + 1024
        # The batch belongs to no span: not to one that happens to be active where flush() is called.
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
        """Have the provider export everything; False if it could not, or not in time."""
        provider = self.provider
        flush = getattr(provider, "force_flush", None)
        done = bool(flush(max(1, int(timeout_s * 1000)))) if callable(flush) else True
        if pace := _paces.get(provider):
            with pace.lock:
                pace.waiting = 0
        return done

    def end_round(self) -> None:
        """Flush what this round of flushing emitted, so that the next starts from nothing."""
        pace = _paces.get(self.provider)
        if pace is not None and pace.waiting:
            self.flush(30.0)

    def _logger(self) -> Any:
        return get_logger(semconv.SCOPE_NAME, package_version(), self._given, semconv.SCHEMA_URL)
