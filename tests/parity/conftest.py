"""Fixtures of the parity tests: monitors whose events are kept, an OTLP server, a running processor."""

from e2e.live import serve
from sdk.monitors import emitted, errors_are_raised, make_monitor, server

__all__ = ["emitted", "errors_are_raised", "make_monitor", "serve", "server"]
