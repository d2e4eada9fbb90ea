"""Engine → export: alerts, and data points of metrics. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
    """A rule's state over time for one target, with what a person is told about it.

    `cause` is the id of the alert that explains this one; while it does, nobody is told of this one.
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

    @property
    def phase(self) -> AlertPhase:
        """Where the alert stands for those who are to be told."""
        return "suppressed" if self.cause and self.state.phase == "firing" else self.state.phase


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
