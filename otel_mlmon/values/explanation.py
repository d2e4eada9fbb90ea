"""The explanation of an alert: the answers to six questions, in the order in which a person asks them. Frozen.

Times are ns since the epoch, durations are ns. Unknown figures are None. A part that failed is None, and
`Explanation.missing` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_mlmon.values.evidence import EstimatedWindow
from otel_mlmon.values.history import RevisionRow
from otel_mlmon.values.verdicts import CheckResult, Status


@dataclass(frozen=True, slots=True)
class Note:
    """A caveat of a figure: selection bias, or the kind of a shift. `figures` are JSON-able."""

    kind: str
    text: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fired:
    """The alert's state and the result that it rests on: the last breach, or the newest one before the first breach.

    `status` and `reason` are of the newest verdict; `result` is of the window [start, end). `confidence` is None where
    the rule sets a rate of false alarms.
    """

    phase: str
    status: str
    reason: str
    since: int
    fired_at: int
    resolved_at: int
    start: int
    end: int
    result: CheckResult
    confidence: float | None = None
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of the window. `conditions` are (field, text such as "= INLAND" or "3 to 5"); all hold.

    `low` and `high` are a 95 % interval of `value`; `p_value` is corrected for all slices that were searched.
    """

    name: str
    conditions: tuple[tuple[str, str], ...]
    rows: int
    value: float | None
    expected: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """The worst slices. `measure` names the metric; `rows`, `value` and `expected` are of all searched rows."""

    measure: str
    rows: int
    value: float | None
    expected: float | None
    slices: tuple[Part, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """A feature's Jensen-Shannon `distance` (0 to 1) from the reference; `score` is distance × importance.

    `change` describes the largest change in words.
    """

    feature: str
    distance: float
    importance: float
    score: float
    change: str


@dataclass(frozen=True, slots=True)
class Features:
    """Features by distance × importance, the largest first. `weights`, in words `note`: the importances' source."""

    weights: Literal["reference", "error", "none"]
    note: str
    rows: int
    ranking: tuple[FeatureDrift, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A change `before` ns before the first breach."""

    time: int
    before: int
    kind: str
    value: str
    text: str


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes in [start, end], the newest first; `end` is the first breach."""

    start: int
    end: int
    events: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Predictions: prediction_id, time, trace_id, value, prediction, ground_truth, slice (its name, or "")."""

    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """One verdict of an alert's past. `end`: end of its window. `low`, `high`: interval of `value`, if known."""

    end: int
    value: float | None
    threshold: float | None
    status: Status
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The rule at another threshold: how often it fires, for how long in all, and since when it fires now (0: not).

    `kind` is "present" for the rule's own threshold, "silent" for the nearest one at which it never fires.
    """

    kind: Literal["present", "other", "silent"]
    threshold: float
    episodes: int
    firing: int
    since: int


@dataclass(frozen=True, slots=True)
class History:
    """The rule's past, oldest first. `worse` is the side of the threshold on which values are a breach.

    `revisions` are the looks at one window while its ground truth arrived.
    """

    ticks: tuple[PastVerdict, ...]
    worse: Literal["above", "below"]
    what_if: tuple[WhatIf, ...]
    revisions: tuple[RevisionRow, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The `share` of the window's predictions whose ground truth was known `delay` ns after them."""

    delay: int
    share: float


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """`rows` with this truth and prediction, their `share` of the rows with this truth, and the reference's share.

    `worth` is the business value of one such prediction, None for rules without values.
    """

    truth: str
    prediction: str
    rows: int
    share: float | None
    usual: float | None
    worth: float | None


@dataclass(frozen=True, slots=True)
class GroundTruthFigures:
    """Delay of ground truth, confusion matrix, and estimates with their realised values.

    All predictions of the window are at least `old_enough` ns old; beyond that delay, `arrived` is incomplete.
    """

    arrived: tuple[Arrived, ...]
    old_enough: int
    confusion: tuple[ConfusionCell, ...]
    ledger: tuple[EstimatedWindow, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All answers about one alert, from `read_rows` of the window's `window_rows` predictions.

    `outcomes` is None, too, for rules that need no ground truth. `missing` names the failed parts with the reason.
    """

    alert: str
    group: str
    rule: str
    check: str
    method: str
    model: str
    version: str
    segment: str
    field: str
    fired: Fired | None
    where: Where | None
    features: Features | None
    changes: Changes | None
    examples: Examples | None
    history: History | None
    outcomes: GroundTruthFigures | None = None
    read_rows: int = 0
    window_rows: int = 0
    missing: tuple[str, ...] = ()
