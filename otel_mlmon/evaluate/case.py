"""What a check looks at, and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from otel_mlmon.values import FieldProfile, FieldReference, PerformanceCounts, Status

# (minimum or None, maximum or None) → numbers of the case's window outside of them, read from the rows.
CountOutside = Callable[[float | None, float | None], int]


@dataclass(frozen=True, slots=True)
class FieldCase:
    """One field of one window, whole or one segment of it, and what is expected of it.

    `expected` is the reference's profile for this segment, or of the whole where the reference knows no such segment.
    """

    name: str
    profile: FieldProfile
    reference: FieldReference | None
    expected: FieldProfile | None
    count_outside: CountOutside


@dataclass(frozen=True, slots=True)
class PerformanceCase:
    """Performance sums of one window, whole or one segment of it, and the reference's."""

    counts: PerformanceCounts
    reference: PerformanceCounts | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict before it is given its target and window."""

    status: Status
    reason: str
    value: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    rows: int = 0
    reference_rows: int = 0
    message: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def no_data(reason: str, message: str, *, rows: int = 0, reference_rows: int = 0) -> Outcome:
    """Not enough to judge by: neither good nor bad."""
    return Outcome("no_data", reason, rows=rows, reference_rows=reference_rows, message=message)


def judge(
    value: float,
    threshold: float,
    p_value: float,
    confidence: float,
    *,
    rows: int,
    reference_rows: int,
    message: str,
    evidence: Callable[[], Mapping[str, Any]],
    higher_is_worse: bool = True,
) -> Outcome:
    """A breach is both large enough and sure enough. A number that is not one is no data, never ok."""
    if math.isnan(value):
        return no_data("no_values", f"{message}: not defined for this window", rows=rows, reference_rows=reference_rows)
    beyond = value > threshold if higher_is_worse else value < threshold
    # Without a p-value for this metric the size alone decides.
    sure = math.isnan(p_value) or p_value < 1 - confidence
    reason = "beyond_threshold" if beyond and sure else "not_significant" if beyond else "within_threshold"
    breach = beyond and sure
    return Outcome(
        "breach" if breach else "ok",
        reason,
        value=value,
        threshold=threshold,
        p_value=None if math.isnan(p_value) else p_value,
        rows=rows,
        reference_rows=reference_rows,
        message=message,
        evidence=evidence() if breach else {},
    )
