"""What a rule would have done with other thresholds: the verdict of each past tick judged again, and the same life of an alert.

A tick's verdict is about the window that was judged then, by what was known of it then; `Tick.end` is here the time of the tick.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from otel_mlmon.rulefile import EstimateRule, PerformanceRule, RuleBase
from otel_mlmon.values import AlertState, Status
from otel_mlmon.values.alert_state import step
from otel_mlmon.values.explanation import PastVerdict, WhatIf

FACTORS: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
_AT_MOST_ONE: Final = frozenset(
    {"accuracy", "precision", "recall", "f1", "r2", "roc_auc", "average_precision", "ndcg"}
)  # what is tightened or loosened is the distance from a perfect score
Worse = Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Life:
    """How an alert of the rule lives, in ns; a rule that is gone is taken to fire at once."""

    for_ns: int = 0
    keep_firing_for_ns: int = 0
    on_no_data: Literal["keep", "alert", "resolve"] = "keep"

    @classmethod
    def of(cls, rule: RuleBase | None) -> Life:
        """That of a rule."""
        return cls() if rule is None else cls(rule.for_, rule.keep_firing_for, rule.no_data)


@dataclass(frozen=True, slots=True)
class Spell:
    """Episodes of firing: how many, how long in all, and since when the last one goes on (0: it does not)."""

    episodes: int
    firing: int
    since: int


def direction(ticks: Sequence[PastVerdict]) -> Worse:
    """Which side of the threshold is the bad one, told by the newest breach."""
    for tick in reversed(ticks):
        if tick.status == "breach" and tick.value is not None and tick.threshold is not None:
            return "below" if tick.value < tick.threshold else "above"
    return "above"


def centre(rule: RuleBase | None, method: str, threshold: float) -> float:
    """From where a threshold is scaled: 0, a perfect score, or the reference's own value where the rule allows a margin over it."""
    relative = isinstance(rule, (PerformanceRule, EstimateRule))
    margin = rule.worse_than_reference if relative else None  # type: ignore[union-attr]
    best = 1.0 if method in _AT_MOST_ONE else 0.0
    if not margin:
        return best
    sign = -1.0 if method in _AT_MOST_ONE else 1.0
    known = threshold / (1 + sign * margin if threshold >= 0 else 1 - sign * margin)
    return known if known == known else best


def spell(ticks: Sequence[PastVerdict], statuses: Sequence[Status], life: Life) -> Spell:
    """What the alert does when these are the verdicts. Firing lasts from the tick at which it starts to that at which it ends."""
    state, episodes, firing, began = AlertState(), 0, 0, 0
    for tick, status in zip(ticks, statuses, strict=True):
        before = state.phase
        state = step(
            state, status, tick.end,
            for_ns=life.for_ns, keep_firing_for_ns=life.keep_firing_for_ns, on_no_data=life.on_no_data,
        )  # fmt: skip
        if state.phase == "firing" and before != "firing":
            episodes, began = episodes + 1, tick.end
        elif state.phase != "firing" and before == "firing":
            firing += tick.end - began
    if state.phase == "firing":
        firing += ticks[-1].end - began
    return Spell(episodes, firing, began if state.phase == "firing" else 0)


def judged(
    ticks: Sequence[PastVerdict], factor: float, worse: Worse, middle: Callable[[PastVerdict], float]
) -> list[Status]:
    """The verdicts with each threshold `factor` times as far from its `middle`.

    A value beyond the threshold of then that was no breach was not sure enough, and is none at another threshold either; of a value
    that was within, nobody asked how sure it was: size alone decides.
    """
    sign = 1.0 if worse == "above" else -1.0
    found: list[Status] = []
    for tick in ticks:
        status: Status = tick.status if tick.status in ("ok", "breach", "no_data") else "error"  # type: ignore[assignment]
        if status in ("ok", "breach") and tick.value is not None and tick.threshold is not None:
            then = sign * tick.value > sign * tick.threshold
            limit = moved(tick.threshold, factor, middle(tick))
            now = sign * tick.value > sign * limit
            if now == then:
                found.append(status)
                continue
            status = "breach" if now and not (then and status == "ok") else "ok"
        found.append(status)
    return found


def moved(threshold: float, factor: float, middle: float) -> float:
    """The threshold `factor` times as far from the middle."""
    return threshold if factor == 1.0 else middle + factor * (threshold - middle)


def what_if(ticks: Sequence[PastVerdict], rule: RuleBase | None, method: str, worse: Worse) -> list[WhatIf]:
    """The rule at a few thresholds around the present one, and at the smallest change at which it would never have fired."""
    present = next((tick.threshold for tick in reversed(ticks) if tick.threshold is not None), None)
    if present is None:
        return []
    life = Life.of(rule)

    def middle(tick: PastVerdict) -> float:
        return centre(rule, method, tick.threshold if tick.threshold is not None else 0.0)

    def at(kind: Literal["present", "other", "silent"], factor: float) -> WhatIf:
        found = spell(ticks, judged(ticks, factor, worse, middle), life)
        limit = moved(present, factor, centre(rule, method, present))
        return WhatIf(kind, limit, found.episodes, found.firing, found.since)

    if present == centre(rule, method, present):  # there is nothing to scale
        return [at("present", 1.0)]
    rows = [at("present" if factor == 1.0 else "other", factor) for factor in FACTORS]
    factor = _silent(ticks, worse, middle, life)
    if factor is not None:
        rows.append(at("silent", factor))
    sign = 1.0 if worse == "above" else -1.0
    return sorted(rows, key=lambda row: sign * row.threshold)


def _silent(
    ticks: Sequence[PastVerdict], worse: Worse, middle: Callable[[PastVerdict], float], life: Life
) -> float | None:
    """The least factor at which the rule never fires: one at which some value is just within. None where no factor helps.

    Fewer breaches never fire more, so that it can be found by halving.
    """
    reach = sorted(
        {
            (tick.value - middle(tick)) / (tick.threshold - middle(tick))
            for tick in ticks
            if tick.value is not None and tick.threshold is not None and tick.threshold != middle(tick)
        }
    )
    # A factor that is computed from a value may round to the wrong side of it.
    reach = [factor * (1 + 1e-12) for factor in reach if factor > 0]

    def fires(factor: float) -> bool:
        return spell(ticks, judged(ticks, factor, worse, middle), life).episodes > 0

    if not reach or fires(reach[-1]):
        return None
    low, high = 0, len(reach) - 1
    while low < high:
        half = (low + high) // 2
        low, high = (half + 1, high) if fires(reach[half]) else (low, half)
    return reach[low]
