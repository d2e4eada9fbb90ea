"""Committed rows, profiles and alert states in one DuckDB file. The only room with SQL."""

from otel_mlmon.store.store import Store

__all__ = ["Store"]
