"""Engine → export: alerts, and data points of metrics. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_mlmon.values.verdicts import Target, Verdict

AlertPhase = Literal["inactive", "pending", "firing", "suppressed"]
PHASE_CODE: Mapping[AlertPhase, int] = {"inactive": 0, "pending": 1, "firing": 2, "suppressed": 3}


@dataclass(frozen=True, slots=True)
class AlertState:
    """Where one alert stands; event time, ns. `resolved_at` is set on the step from firing to inactive."""

    phase: AlertPhase = "inactive"
    since: int = 0  # when the present breach began (pending or firing)
    fired_at: int = 0
    last_breach: int = 0
    resolved_at: int = 0


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule's state over time for one target, with its texts for people.

    `verdict` is the newest one; its evidence is that of the last breach while the alert fires and after it was
    resolved. `last_breach` is None before the first breach. `configured` is the rule as it stood in the rule file at
    the last breach. `cause` is the id of the alert that explains this one; while it does, nobody is notified of this
    one.
    """

    id: str  # stable: hash of group, rule and target
    group: str
    rule: str
    check: str
    method: str
    target: Target
    state: AlertState
    verdict: Verdict
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    cause: str = ""
    last_breach: Verdict | None = None
    configured: Mapping[str, Any] = field(default_factory=dict)

    @property
    def phase(self) -> AlertPhase:
        """The phase for notifications: "suppressed" while another alert explains this one."""
        return "suppressed" if self.cause and self.state.phase == "firing" else self.state.phase

    @property
    def decisive(self) -> Verdict:
        """The verdict that the alert rests on: the last breach, or the newest verdict before the first breach."""
        return self.last_breach or self.verdict


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """A cumulative histogram: counts per bucket of `bounds` plus the overflow bucket."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


@dataclass(frozen=True, slots=True)
class Point:
    """One data point; attribute names are `semconv`'s."""

    attributes: Mapping[str, str]
    value: float | HistogramValue
