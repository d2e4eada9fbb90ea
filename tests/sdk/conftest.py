"""Fixtures of the SDK's tests."""

from sdk.monitors import emitted, errors_are_raised, make_monitor, server

__all__ = ["emitted", "errors_are_raised", "make_monitor", "server"]
