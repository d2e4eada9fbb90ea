"""Backtest rules over a history, unchanged and with injected faults."""

from otel_mlmon.lab.backtest.matrix import SEVERITIES, Cell, Injection, injections, run_injections
from otel_mlmon.lab.backtest.past import Past, play

__all__ = ["SEVERITIES", "Cell", "Injection", "Past", "injections", "play", "run_injections"]
