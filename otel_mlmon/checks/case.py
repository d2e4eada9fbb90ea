"""What a check looks at, and what it says."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from otel_mlmon.stats.inference.design_effect import design_effect_of
from otel_mlmon.values import CheckResult, FieldProfile, FieldReference, Figure, PerformanceCounts, Reference

if TYPE_CHECKING:
    from otel_mlmon.stats.inference.estimate import Estimate
    from otel_mlmon.stats.metrics.outcomes import Outcomes
    from otel_mlmon.values import Floats

_CHANCE = 0.5  # p-value from which no confidence that a rule may state would call it sure

# (minimum or None, maximum or None) → numbers of the case's window outside of them, read from the rows.
CountOutside = Callable[[float | None, float | None], int]


@dataclass(frozen=True, slots=True)
class FieldCase:
    """One field of one window, whole or one segment of it, and what is expected of it.

    `expected` is the reference's profile for this segment, or of the whole where the reference knows no such segment.
    `numbers` reads the field's finite numbers from the rows of the window; only a breach is worth that.
    `whole` is the reference as a whole: another field of it may be what this one was swapped with. Where this is all of the
    window, `segments` has its parts ("key=value" by key), and `of_segment` what was expected and found in one of them.
    """

    name: str
    profile: FieldProfile
    reference: FieldReference | None
    expected: FieldProfile | None
    count_outside: CountOutside
    numbers: Callable[[], Floats]
    whole: Reference | None = None
    segments: Mapping[str, list[str]] = field(default_factory=dict)
    of_segment: Callable[[str], tuple[FieldProfile | None, FieldProfile | None]] = lambda segment: (None, None)

    def design_effect(self, rows: int, of: Literal["values", "missing", "tails", "single"] = "values") -> float:
        """How many consecutive rows, of so many, are worth one independent row."""
        return design_effect_of(self.reference.design_effects.get(of, {}), rows) if self.reference else 1.0


@dataclass(frozen=True, slots=True)
class PerformanceCase:
    """Performance of one window, whole or one segment of it, and the reference's.

    `outcomes` reads the rows whose ground truth is known (argument: the field that says which of them were ranked against each
    other, or ""), `custom` computes an SQL aggregate over them; only metrics that sums do not give need either. `figures` has
    the reference's values of such metrics. `pair` has the rows of champion and challenger whose ids match; None without any.
    `effect` says how many rows are worth one independent row, of this window and of the reference: their errors may be alike.
    """

    counts: PerformanceCounts
    reference: PerformanceCounts | None
    figures: Mapping[str, Figure]
    outcomes: Callable[[str], Outcomes]
    custom: Callable[[str, float], Estimate]
    pair: Callable[[], tuple[Outcomes, Outcomes] | None] = lambda: None
    effect: Callable[[str], tuple[float, float]] = lambda method: (1.0, 1.0)


def no_data(reason: str, message: str, *, rows: int = 0, reference_rows: int = 0) -> CheckResult:
    """Not enough to judge by: neither good nor bad."""
    return CheckResult("no_data", reason, rows=rows, reference_rows=reference_rows, message=message)


def judge(
    value: float,
    threshold: float,
    p_value: float,
    *,
    rows: int,
    reference_rows: int,
    message: str,
    finding: str = "",
    critical: float | None = None,
    evidence: Callable[[], Mapping[str, Any]] = dict,
    higher_is_worse: bool = True,
) -> CheckResult:
    """A breach is large enough here; that it is sure enough is for `correct` to say. NaN is no data, never ok.

    Without a p-value (NaN) the size alone decides.
    """
    if math.isnan(value):
        return no_data("no_values", f"{message}: not defined for this window", rows=rows, reference_rows=reference_rows)
    sign = 1 if higher_is_worse else -1
    beyond = sign * value > sign * threshold
    severe = critical is not None and sign * value > sign * critical
    return CheckResult(
        "breach" if beyond else "ok",
        "beyond_threshold" if beyond else "within_threshold",
        value=value,
        threshold=threshold,
        p_value=None if math.isnan(p_value) else p_value,
        rows=rows,
        reference_rows=reference_rows,
        message=message,
        finding=finding if beyond else "",
        level="critical" if beyond and severe else "",
        evidence=evidence() if beyond and not p_value > _CHANCE else {},
    )
