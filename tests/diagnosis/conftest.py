"""Fixtures of the tests against a running processor."""

from e2e.live import serve

__all__ = ["serve"]
