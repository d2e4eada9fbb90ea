"""Evaluate → export: what rules found, and the metrics that tell of it. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "breach", "no_data", "error"]
STATUS_CODE: Mapping[Status, int] = {"ok": 0, "breach": 1, "no_data": 2, "error": 3}


@dataclass(frozen=True, slots=True)
class Target:
    """What a verdict is about."""

    model: str
    version: str
    segment: str = ""  # "" for the whole, else "key=value"
    field: str = ""  # "" for the model as a whole


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's finding on one target in one window.

    `value` is how much (effect size), `p_value` how sure (None where the check has none). `reason` is a short word
    (above_threshold, within_threshold, not_significant, too_few_rows, no_rows, no_values, no_reference …). `q_value` is the
    p-value corrected for all the tests that were made with it. `finding` names what was found, in a word (absent, null, unit,
    shift …); `level` is "critical" beyond the rule's second limit. `low` and `high` are the confidence interval of `value`.
    `coverage` is the share of the window's predictions whose ground truth is known, `maturity` whether more of it is to be
    expected: "provisional", or "final". `evidence` holds JSON-able details for the report page.
    """

    target: Target
    status: Status
    reason: str
    start: int
    end: int
    value: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    rows: int = 0
    reference_rows: int = 0
    message: str = ""
    finding: str = ""
    level: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    maturity: str = ""


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
