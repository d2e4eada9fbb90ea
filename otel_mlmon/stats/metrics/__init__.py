"""Performance metrics, their intervals and tests."""
