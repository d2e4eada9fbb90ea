"""Panes of event time, their profiles, and windows as sums of panes."""

from otel_mlmon.window.windows import Plan, Windows

__all__ = ["Plan", "Windows"]
