"""The explanation of an alert: the answers to six questions, in the order in which a person asks them. Frozen.

All times are ns since the epoch, all lengths of time ns. Unknown figures are None. A part that fails is None, too, and named in
`Explanation.missing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from otel_mlmon.values.evidence import EstimatedWindow


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a figure must be read with: label selection, the kind of a shift. `figures` are JSON-able."""

    kind: str
    text: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fired:
    """What fired, since when, how sure. `start` and `end` are the window judged; `coverage` and `maturity` are of its ground truth."""

    phase: str
    status: str
    reason: str
    message: str
    finding: str
    since: int
    fired_at: int
    resolved_at: int
    start: int
    end: int
    value: float | None
    low: float | None
    high: float | None
    threshold: float | None
    p_value: float | None
    q_value: float | None
    confidence: float | None
    rows: int
    reference_rows: int
    coverage: float | None
    maturity: str
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """A slice of the window. `conditions` are (field, text such as "= INLAND" or "3 to 5"), all of which hold.

    `low` and `high` are a 95 % interval of `value`; `p_value` is corrected for all slices that were looked at.
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
    """Which slices. `measure` says what `value` and `expected` are; those of this class are of all rows that were searched."""

    measure: str
    rows: int
    value: float | None
    expected: float | None
    slices: tuple[Part, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """A feature: Jensen-Shannon `distance` (0 to 1) from the reference, its `importance`, their product, and what changed most."""

    feature: str
    distance: float
    importance: float
    score: float
    change: str


@dataclass(frozen=True, slots=True)
class Features:
    """Features by distance × importance, the largest first. `weights` says where importances come from, `note` in words."""

    weights: Literal["reference", "error", "none"]
    note: str
    rows: int
    ranking: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed `before` ns before the first breach."""

    time: int
    before: int
    kind: str
    value: str
    text: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed in [start, end], `end` being the first breach; the newest first."""

    start: int
    end: int
    events: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """Predictions: prediction_id, time, trace_id, value, prediction, ground_truth, and `slice`, the name of the slice it is of."""

    rows: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """One verdict of the past. `end` is the end of its window; `low` and `high` are its interval, where it was kept."""

    end: int
    value: float | None
    threshold: float | None
    status: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the rule would have done: how often it would have fired, for how long in all, and since when it would fire now (0: not)."""

    kind: Literal[
        "present", "other", "silent"
    ]  # the rule's own; another one; the least at which it would never have fired
    threshold: float
    episodes: int
    firing: int
    since: int


@dataclass(frozen=True, slots=True)
class Revision:
    """What was known at `known` of the window [start, end)."""

    start: int
    end: int
    known: int
    predictions: int
    with_truth: int
    coverage: float | None
    maturity: str
    status: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class History:
    """The rule's past, oldest first. `worse` says which values are beyond the threshold."""

    ticks: tuple[Tick, ...]
    worse: Literal["above", "below"]
    what_if: tuple[WhatIf, ...]
    revisions: tuple[Revision, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Arrived:
    """The `share` of the window's predictions whose ground truth was known `delay` ns after them."""

    delay: int
    share: float


@dataclass(frozen=True, slots=True)
class Cell:
    """Of a confusion matrix: `rows` said `prediction` and were `truth`, a `share` of all that were; `usual` is that of the reference.

    `worth` is what one such prediction is worth, for rules that say so.
    """

    truth: str
    prediction: str
    rows: int
    share: float | None
    usual: float | None
    worth: float | None


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What came of the predictions. Up to a delay of `old_enough` ns all of them are old enough to count in `arrived`."""

    arrived: tuple[Arrived, ...]
    old_enough: int
    confusion: tuple[Cell, ...]
    ledger: tuple[EstimatedWindow, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All of it. `read_rows` of the window's `window_rows` predictions were looked at; `missing` names what could not be found out."""

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
    outcomes: Outcomes | None = None  # also where the rule is not about any
    read_rows: int = 0
    window_rows: int = 0
    missing: tuple[str, ...] = ()
