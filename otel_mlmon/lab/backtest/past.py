"""Play rules over an unchanged history: the alerts, their frequency, and the rules that could never fire."""

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
    """One alert, from its first firing to its end or the end of the history."""

    alert: Alert
    start: int
    end: int


@dataclass(slots=True)
class Past:
    """Results of rules over [start, end), event time in ns."""

    start: int
    end: int
    episodes: list[Episode] = field(default_factory=list)
    verdicts: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)  # (group, rule) → verdicts by reason
    rows: dict[tuple[str, str], int] = field(default_factory=dict)  # (group, rule) → most rows of a window
    firing: dict[int, frozenset[str]] = field(default_factory=dict)  # tick → ids of the firing alerts

    @property
    def months(self) -> float:
        """Length of the history in months."""
        return max(self.end - self.start, 1) / MONTH

    def per_month(self, group: str, rule: str) -> float:
        """Alerts of a rule per month."""
        return sum((e.alert.group, e.alert.rule) == (group, rule) for e in self.episodes) / self.months


def play(
    groups: Sequence[Group],
    rows: RowBlock,
    references: Sequence[Reference],
    start: int,
    end: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Past:
    """Evaluate `groups` from `start` to `end`; call `progress` with (finished ticks, all ticks)."""
    past = Past(start, end)
    total = len({time for time, _ in ticks(groups, rows, start, end)})
    firing: dict[str, tuple[int, Alert]] = {}
    for done, tick in enumerate(simulate(groups, rows, references, start=start, end=end), start=1):
        alerts = tick.alerts()
        for alert in alerts:
            if alert.group in tick.groups:
                key = (alert.group, alert.rule)
                result = alert.verdict.result
                verdict = result.status if result.status in ("ok", "breach") else result.reason
                past.verdicts.setdefault(key, Counter())[verdict] += 1
                past.rows[key] = max(past.rows.get(key, 0), result.rows)
        now = {alert.id: alert for alert in alerts if alert.phase == "firing"}
        for id_ in [id_ for id_ in firing if id_ not in now]:
            since, alert = firing.pop(id_)
            past.episodes.append(Episode(alert, since, tick.time))
        for id_, alert in now.items():
            firing.setdefault(id_, (tick.time, alert))
        past.firing[tick.time] = frozenset(now)
        progress(done, total)
    past.episodes += [Episode(alert, since, end) for since, alert in firing.values()]
    past.episodes.sort(key=lambda episode: (episode.start, episode.alert.rule))
    return past


def never(groups: Sequence[Group], past: Past) -> list[tuple[Group, Rule, str]]:
    """List the rules without a verdict in the whole history, each with the reason."""
    silent: list[tuple[Group, Rule, str]] = []
    for group in groups:
        for rule in group.rules:
            verdicts = past.verdicts.get((group.name, rule.alert), Counter())
            if not (verdicts["ok"] or verdicts["breach"]):
                silent.append((group, rule, _why(rule, verdicts, past.rows.get((group.name, rule.alert), 0))))
    return silent


def _why(rule: Rule, verdicts: Counter[str], rows: int) -> str:
    if not verdicts:
        return "not evaluated: no field that it is about, or the history is shorter than its interval"
    reason = verdicts.most_common(1)[0][0]
    key = {"too_few_rows": "min_rows", "too_little_ground_truth": "min_ground_truth"}.get(reason)
    if key and hasattr(rule, key):
        return f"{key} is {getattr(rule, key)}; the most that a window had is {rows}"
    return reason.replace("_", " ")
