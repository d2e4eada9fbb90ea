"""Cumulative sums (CUSUM) of standardised deviations, for small changes that last."""

from __future__ import annotations

import math

_SHIFT = 1.166  # Siegmund's correction of the boundary for discrete time


def step(up: float, down: float, z: float, allowance: float) -> tuple[float, float]:
    """Return both one-sided sums after one more standardised observation. Source: Page, Biometrika 41 (1954).

    >>> step(1.0, 0.0, z=2.0, allowance=0.5)
    (2.5, 0.0)
    """
    return max(0.0, up + z - allowance), max(0.0, down - z - allowance)


def run_length(boundary: float, allowance: float) -> float:
    """Return the mean number of observations to a false alarm of the two-sided test.

    Source: Siegmund, Sequential Analysis, 1985: one-sided (exp(2 k b) - 2 k b - 1) / (2 k²) with b = h + 1.166; half
    of it for two sides.

    >>> round(run_length(5.0, 0.5)), round(run_length(4.0, 0.5))
    (469, 169)
    """
    b = boundary + _SHIFT
    if allowance == 0:
        return b * b / 2
    return (math.exp(2 * allowance * b) - 2 * allowance * b - 1) / (4 * allowance * allowance)


def limit(windows_to_false_alarm: float, allowance: float) -> float:
    """Return the boundary with that mean run length. Raises ValueError below one window.

    >>> round(limit(465.0, 0.5), 2)
    4.99
    """
    if windows_to_false_alarm < 1:
        raise ValueError(f"windows_to_false_alarm must be at least 1, found {windows_to_false_alarm}")
    low, high = 0.0, 1.0
    while run_length(high, allowance) < windows_to_false_alarm:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if run_length(middle, allowance) < windows_to_false_alarm else (low, middle)
    return high
