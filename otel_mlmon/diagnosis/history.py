"""The rule's past: its verdicts, the revisions of a window, and the same past at other thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from otel_mlmon.rulefile import EstimateRule, PerformanceRule, RuleBase
from otel_mlmon.values import AlertState, Status
from otel_mlmon.values.alert_state import step
from otel_mlmon.values.explanation import History, PastVerdict, WhatIf
from otel_mlmon.values.history import RevisionRow, VerdictRow

MOST_VERDICTS: Final = 2000  # that are read
FACTORS: Final = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
# Metrics with 1 as the perfect score: the distance from 1 is scaled.
_AT_MOST_ONE: Final = frozenset({"accuracy", "precision", "recall", "f1", "r2", "roc_auc", "average_precision", "ndcg"})
_BY_SIZE: Final = (
    "Judged by the stored values. A value beyond the threshold that was not significant stays no breach. A value "
    "within the threshold was not tested: size alone decides."
)
_LATE: Final = (
    " Ground truth came after the windows: each verdict counts at the tick at which it was given, by the ground truth "
    "known then. Times are those of ticks."
)
Worse = Literal["above", "below"]
WhatIfKind = Literal["present", "other", "silent"]


def history(
    verdicts: Iterable[VerdictRow], revisions: Sequence[RevisionRow], rule: RuleBase | None, method: str, end: int
) -> History:
    """Return the past of a rule. `end` is the end of the alert's window.

    The revisions are those of that window, or of the window with the most revisions if that one has fewer than two.
    """
    kept = list(verdicts)
    ticks = ticks_of(kept)
    worse = direction(ticks)
    late = any(row.time > row.end for row in kept)
    counts = Counter(row.end for row in revisions)
    shown = end if counts[end] > 1 else max(counts, key=lambda other: (counts[other], other), default=end)
    return History(
        ticks=tuple(windows_of(kept, revisions)),
        worse=worse,
        what_if=tuple(what_if(ticks, rule, method, worse)),
        revisions=tuple(row for row in revisions if row.end == shown),
        note=_BY_SIZE + _LATE * late if ticks else "No verdict has been kept yet.",
    )


def windows_of(rows: Iterable[VerdictRow], revisions: Sequence[RevisionRow] = ()) -> list[PastVerdict]:
    """Return one verdict per window, oldest first; the newest one of a window that was judged again."""
    latest = {row.end: row for row in revisions}
    by_end = {}
    for row in rows:
        revision = latest.get(row.end) if row.value is not None else None  # no interval without a value
        low, high = (revision.low, revision.high) if revision else (None, None)
        by_end[row.end] = PastVerdict(row.end, row.value, row.threshold, row.status, low, high)
    return [by_end[end] for end in sorted(by_end)]


def ticks_of(rows: Iterable[VerdictRow]) -> list[PastVerdict]:
    """Return one verdict per tick; `end` is the time of the tick here. The alert follows these, not the windows."""
    return [PastVerdict(row.time, row.value, row.threshold, row.status) for row in rows]


def first_breach(ticks: Sequence[PastVerdict], since: int, upto: int) -> int:
    """Return the end of the first window of the breach that lasts at `upto`; `since` if the verdicts do not show it.

    A window without data does not end a breach.
    """
    first = 0
    for tick in reversed(ticks):
        if tick.end > upto:
            continue
        if tick.status == "breach":
            first = tick.end
        elif tick.status == "ok" and first:
            break
    return min(first, since) if first and since else first or since


@dataclass(frozen=True, slots=True)
class Life:
    """How an alert of the rule starts and ends, in ns; an alert of a rule that no longer exists fires at once."""

    for_ns: int = 0
    keep_firing_for_ns: int = 0
    on_no_data: Literal["keep", "alert", "resolve"] = "keep"

    @classmethod
    def of(cls, rule: RuleBase | None) -> Life:
        return cls() if rule is None else cls(rule.for_, rule.keep_firing_for, rule.no_data)


@dataclass(frozen=True, slots=True)
class Firing:
    """The episodes of firing, their total duration, and the start of the present one (0: it does not fire)."""

    episodes: int
    duration: int
    since: int


@dataclass(frozen=True, slots=True)
class Replay:
    """The past ticks of one rule, to be judged again with other thresholds."""

    ticks: Sequence[PastVerdict]
    rule: RuleBase | None
    method: str
    worse: Worse

    def centre(self, threshold: float) -> float:
        """Return the value from which a threshold is scaled.

        It is the reference's own value for a rule with a margin over it, else 0, or 1 where that is a perfect score.
        """
        rule, best = self.rule, 1.0 if self.method in _AT_MOST_ONE else 0.0
        margin = rule.worse_than_reference if isinstance(rule, (PerformanceRule, EstimateRule)) else None
        if not margin:
            return best
        sign = -1.0 if self.method in _AT_MOST_ONE else 1.0
        value = threshold / (1 + sign * margin if threshold >= 0 else 1 - sign * margin)
        return value if value == value else best

    def scaled(self, threshold: float, factor: float) -> float:
        """Return the threshold at `factor` times its distance from the centre."""
        centre = self.centre(threshold)
        return threshold if factor == 1.0 else centre + factor * (threshold - centre)

    def statuses(self, factor: float) -> list[Status]:
        """Judge all ticks again with each threshold scaled by `factor`.

        A value that stays on its side of the threshold keeps its status: one that was not significant is no breach. A
        value that changes sides was perhaps not tested: size alone decides.
        """
        return [self._status(tick, factor) for tick in self.ticks]

    def _status(self, tick: PastVerdict, factor: float) -> Status:
        if tick.status not in ("ok", "breach") or tick.value is None or tick.threshold is None:
            return tick.status
        sign = 1.0 if self.worse == "above" else -1.0
        before = sign * tick.value > sign * tick.threshold
        now = sign * tick.value > sign * self.scaled(tick.threshold, factor)
        if now == before:
            return tick.status
        return "breach" if now else "ok"

    def firing(self, factor: float) -> Firing:
        """Replay the alert with scaled thresholds; it fires from its first tick to the tick that ends it."""
        life, state, episodes, duration, began = Life.of(self.rule), AlertState(), 0, 0, 0
        for tick, status in zip(self.ticks, self.statuses(factor), strict=True):
            before = state.phase
            state = step(
                state,
                status,
                tick.end,
                for_ns=life.for_ns,
                keep_firing_for_ns=life.keep_firing_for_ns,
                on_no_data=life.on_no_data,
            )
            if state.phase == "firing" and before != "firing":
                episodes, began = episodes + 1, tick.end
            elif state.phase != "firing" and before == "firing":
                duration += tick.end - began
        if state.phase == "firing":
            duration += self.ticks[-1].end - began
        return Firing(episodes, duration, began if state.phase == "firing" else 0)

    def silent(self) -> float | None:
        """Return the least factor at which the rule never fires, with some value just within; None if no factor helps.

        Fewer breaches never make an alert fire more often, so a binary search finds it.
        """
        factors = sorted(
            {
                (tick.value - centre) / (tick.threshold - centre)
                for tick in self.ticks
                if tick.value is not None
                and tick.threshold is not None
                and tick.threshold != (centre := self.centre(tick.threshold))
            }
        )
        # A factor that is computed from a value may round to the wrong side of it.
        factors = [factor * (1 + 1e-12) for factor in factors if factor > 0]
        if not factors or self.firing(factors[-1]).episodes:
            return None
        low, high = 0, len(factors) - 1
        while low < high:
            half = (low + high) // 2
            low, high = (half + 1, high) if self.firing(factors[half]).episodes else (low, half)
        return factors[low]


def direction(ticks: Sequence[PastVerdict]) -> Worse:
    """Return the bad side of the threshold, by the newest breach."""
    for tick in reversed(ticks):
        if tick.status == "breach" and tick.value is not None and tick.threshold is not None:
            return "below" if tick.value < tick.threshold else "above"
    return "above"


def what_if(ticks: Sequence[PastVerdict], rule: RuleBase | None, method: str, worse: Worse) -> list[WhatIf]:
    """Replay the rule at thresholds around the present one, and at the nearest one at which it never fires."""
    present = next((tick.threshold for tick in reversed(ticks) if tick.threshold is not None), None)
    if present is None:
        return []
    replay = Replay(ticks, rule, method, worse)
    if present == replay.centre(present):  # nothing to scale
        return [_what_if(replay, present, "present", 1.0)]
    rows = [_what_if(replay, present, "present" if factor == 1.0 else "other", factor) for factor in FACTORS]
    factor = replay.silent()
    if factor is not None:
        rows.append(_what_if(replay, present, "silent", factor))
    sign = 1.0 if worse == "above" else -1.0
    return sorted(rows, key=lambda row: sign * row.threshold)


def _what_if(replay: Replay, present: float, kind: WhatIfKind, factor: float) -> WhatIf:
    firing = replay.firing(factor)
    return WhatIf(kind, replay.scaled(present, factor), firing.episodes, firing.duration, firing.since)
