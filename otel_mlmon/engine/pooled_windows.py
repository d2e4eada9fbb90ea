"""What is too little in one window may be enough in two.

A fault of one per cent is seen in a thousand rows half of the time, and in two windows of them nearly always. Each target's
p-value is therefore joined with that of the window before, and the better of both counts, at the price of two tests.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, MutableMapping
from dataclasses import replace

from otel_mlmon.stats.inference.design_effect import correlation_of_neighbours, metric_design_effects
from otel_mlmon.stats.inference.p_values import combined_p_value
from otel_mlmon.values import Reference, Verdict

Past = MutableMapping[str, deque[tuple[int, float]]]
_NEWS = 0.05  # p-value above which this window does not point anywhere
_KEPT = 512  # ticks; a window of a day that is judged every three minutes


def accumulate(past: Past, key: str, verdict: Verdict, reference: Reference | None, method: str) -> Verdict:
    """The verdict with the better p-value of this window, and of this one and the last that does not overlap with it.

    `method` is the rule's: a metric where it is about outcomes.
    """
    result = verdict.result
    if result.p_value is None or result.status not in ("ok", "breach"):
        return verdict
    seen = past.setdefault(key, deque(maxlen=_KEPT))
    length = verdict.end - verdict.start
    while seen and seen[0][0] <= verdict.start - length:
        seen.popleft()
    before = next((p for end, p in reversed(seen) if end <= verdict.start), None)
    seen.append((verdict.end, result.p_value))
    joint = 1.0
    if before is not None and result.p_value < _NEWS:
        joint = combined_p_value(result.p_value, before, _in_common(verdict, reference, method))
    return replace(verdict, result=replace(result, p_value=min(1.0, 2 * min(result.p_value, joint))))


def _in_common(verdict: Verdict, reference: Reference | None, method: str) -> float:
    """Correlation of two windows: they are alike as far as neighbours are, and share the error of one reference."""
    measured: Mapping[int, float] = {}
    if reference is not None and not verdict.target.field:
        measured = metric_design_effects(method, reference.outcome_effects)
    elif reference is not None and verdict.target.field in reference.fields:
        measured = reference.fields[verdict.target.field].design_effects.get("values", {})
    alike = correlation_of_neighbours(measured, verdict.result.rows)
    then, now = verdict.result.reference_rows, verdict.result.rows
    return (alike * then + now) / (then + now) if then else alike
