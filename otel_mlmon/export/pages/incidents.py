"""Group alerts into incidents: an alert with its effects, and with alerts of the same rule on other parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from otel_mlmon.export.pages.wording import phase
from otel_mlmon.values import Alert

FEW = 5  # alerts of one rule that are shown one by one
_NAMED = 6


@dataclass(slots=True)
class Incident:
    """`alike` are alerts of the same rule on other segments or fields, `follow` alerts that this one explains."""

    alert: Alert
    alike: list[Alert] = field(default_factory=list)
    follow: list[Alert] = field(default_factory=list)

    @property
    def also(self) -> str:
        """The segments or fields of the alike alerts; only the first of many."""
        names = [one.target.segment or one.target.field or "all of them" for one in self.alike[:_NAMED]]
        rest = len(self.alike) - len(names)
        return f"{len(self.alike)} more of this rule: {', '.join(names)}" + (f" and {rest} more" if rest else "")


def incidents(alerts: Sequence[Alert]) -> list[Incident]:
    """Return incidents in the order of `alerts`; within a rule, the alert on all segments comes first."""
    ids = {alert.id for alert in alerts}
    follow: dict[str, list[Alert]] = {}
    heads: list[Alert] = []
    for alert in alerts:
        # An alert whose cause is not listed is an incident of its own.
        explained = alert.cause in ids and alert.cause != alert.id
        (follow.setdefault(alert.cause, []) if explained else heads).append(alert)
    shown = [
        Incident(one[0], one[1:]) if len(one) > FEW else Incident(alert)
        for one in _by_rule(heads)
        for alert in _first(one)
    ]
    for incident in shown:
        incident.follow = _all_that_follow([incident.alert, *incident.alike], follow)
    # Alerts with circular causes are incidents, too: no alert is lost.
    return shown + [Incident(alert) for rest in follow.values() for alert in rest]


def _by_rule(alerts: Iterable[Alert]) -> list[list[Alert]]:
    groups: dict[tuple[str, ...], list[Alert]] = {}
    for alert in alerts:
        target = alert.target
        groups.setdefault((phase(alert), alert.group, alert.rule, target.model, target.version), []).append(alert)
    return [sorted(one, key=lambda alert: bool(alert.target.segment)) for one in groups.values()]


def _first(one: Sequence[Alert]) -> Sequence[Alert]:
    return one[:1] if len(one) > FEW else one


def _all_that_follow(alerts: Iterable[Alert], follow: dict[str, list[Alert]]) -> list[Alert]:
    """Return direct and indirect effects."""
    effects: list[Alert] = []
    for alert in alerts:
        direct = follow.pop(alert.id, [])
        effects += [*direct, *_all_that_follow(direct, follow)]
    return effects
