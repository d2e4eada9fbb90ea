"""The verdict of a check on its target. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from otel_mlmon.values.evidence import Evidence

Status = Literal["ok", "breach", "no_data", "error"]
STATUS_CODE: Mapping[Status, int] = {"ok": 0, "breach": 1, "no_data": 2, "error": 3}


@dataclass(frozen=True, slots=True)
class Target:
    """Model version, segment and field that a verdict is about."""

    model: str
    version: str
    segment: str = ""  # "" for the whole, else "key=value"
    field: str = ""  # "" for the model as a whole


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check on one target in one window.

    Checks report a breach by size alone; the engine corrects for multiple testing and may turn it into "ok".

    - `reason`: above_threshold, within_threshold, not_significant, too_few_rows, no_rows, no_values, no_reference …
    - `value`: effect size; `low` and `high` are its confidence interval.
    - `p_value`: None where the check has none; `q_value`: corrected for all tests that were made together.
    - `finding`: the kind of fault in a word (absent, null, unit, shift …).
    - `level`: "critical" beyond the rule's second limit.
    - `coverage`: share of the window's predictions with ground truth.
    - `maturity`: "provisional" while more ground truth is expected, else "final".
    - `evidence`: details for people and for the causes of other alerts; breaches have it, estimates and budgets always.
    """

    status: Status
    reason: str
    value: float | None = None
    threshold: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    rows: int = 0
    reference_rows: int = 0
    message: str = ""
    finding: str = ""
    level: str = ""
    evidence: Evidence | None = None
    low: float | None = None
    high: float | None = None
    coverage: float | None = None
    maturity: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A check's result for one target and the window [start, end) (ns)."""

    target: Target
    start: int
    end: int
    result: CheckResult
