"""Fixtures of the end-to-end tests."""

from live import serve

__all__ = ["serve"]
