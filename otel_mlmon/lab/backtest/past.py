"""Rules over a history as it was: what fired, how often, and which rules could never have fired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from otel_mlmon.lab.simulate.run import simulate, ticks
from otel_mlmon.rulefile import Group, Rule
from otel_mlmon.values import Alert, Reference, RowBlock

MONTH: Final = 2_629_800_000_000_000


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert from when it fired until it ended, or until the history did."""

    alert: Alert
    start: int
    end: int


@dataclass(slots=True)
class Past:
    """What rules did over [start, end), event time in ns."""

    start: int
    end: int
    episodes: list[Episode] = field(default_factory=list)
    verdicts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (group, rule) → verdicts by reason
    rows: dict[tuple[str, str], int] = field(default_factory=dict)  # (group, rule) → most rows that it saw
    firing: dict[int, frozenset[str]] = field(default_factory=dict)  # tick → ids of what fired then

    @property
    def months(self) -> float:
        """How long the history is."""
        return max(self.end - self.start, 1) / MONTH

    def per_month(self, group: str, rule: str) -> float:
        """How often a rule told somebody something, per month."""
        return sum((e.alert.group, e.alert.rule) == (group, rule) for e in self.episodes) / self.months


def play(
    groups: Sequence[Group],
    rows: RowBlock,
    references: Sequence[Reference],
    start: int,
    end: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Past:
    """Evaluate `groups` from `start` to `end`; `progress` hears of ticks done, of all."""
    past = Past(start, end)
    total = len({time for time, _ in ticks(groups, rows, start, end)})
    open_: dict[str, tuple[int, Alert]] = {}
    for done, tick in enumerate(simulate(groups, rows, references, start=start, end=end), start=1):
        alerts = tick.alerts()
        for alert in alerts:
            if alert.group in tick.groups:
                key = (alert.group, alert.rule)
                past.verdicts.setdefault(key, Counter())[_verdict(alert)] += 1
                past.rows[key] = max(past.rows.get(key, 0), alert.verdict.result.rows)
        now = {alert.id: alert for alert in alerts if alert.phase == "firing"}
        for id_ in [id_ for id_ in open_ if id_ not in now]:
            since, alert = open_.pop(id_)
            past.episodes.append(Episode(alert, since, tick.time))
        for id_, alert in now.items():
            open_.setdefault(id_, (tick.time, alert))
        past.firing[tick.time] = frozenset(now)
        progress(done, total)
    past.episodes += [Episode(alert, since, end) for since, alert in open_.values()]
    past.episodes.sort(key=lambda episode: (episode.start, episode.alert.rule))
    return past


def _verdict(alert: Alert) -> str:
    """`ok`, `breach`, or why there was none."""
    return (
        alert.verdict.result.status if alert.verdict.result.status in ("ok", "breach") else alert.verdict.result.reason
    )


def never(groups: Sequence[Group], past: Past) -> list[tuple[Group, Rule, str]]:
    """Rules that had nothing to judge in the whole history, and why."""
    found: list[tuple[Group, Rule, str]] = []
    for group in groups:
        for rule in group.rules:
            verdicts = past.verdicts.get((group.name, rule.alert), Counter())
            if not (verdicts["ok"] or verdicts["breach"]):
                found.append((group, rule, _why(rule, verdicts, past.rows.get((group.name, rule.alert), 0))))
    return found


def _why(rule: Rule, verdicts: Counter[str], rows: int) -> str:
    if not verdicts:
        return "not evaluated: no field that it is about, or the history is shorter than its interval"
    reason = verdicts.most_common(1)[0][0]
    wanted = {"too_few_rows": "min_rows", "too_little_ground_truth": "min_ground_truth"}.get(reason)
    if wanted and hasattr(rule, wanted):
        return f"{wanted} is {getattr(rule, wanted)}; the most that a window had is {rows}"
    return reason.replace("_", " ")
