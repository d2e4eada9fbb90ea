"""The evidence behind a check result: one type per kind of check. Frozen; times are ns since the epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple


class Line(NamedTuple):
    """One row of a table of numbers: the reference beside the window; None where there is no number."""

    name: str
    reference: float | None
    window: float | None


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares of a field's values in the reference and in the window.

    Numeric: one share per bin between `edges`, plus one below and one above. Categorical: one share per label.
    """

    kind: str  # numeric or categorical
    labels: tuple[str, ...]
    edges: tuple[float, ...] | None
    reference: tuple[float, ...]
    window: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SegmentValue:
    """A metric in one segment ("key=value")."""

    segment: str
    rows: int
    value: float | None
    standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class FieldEvidence:
    """Drift and integrity. `distribution` is None where the field has no bins and no categories in common."""

    numbers: tuple[Line, ...]
    distribution: Distribution | None = None
    segments: tuple[SegmentValue, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaEvidence:
    """`fields` are all that were added, removed, renamed, swapped or dropped together."""

    fields: tuple[str, ...]
    numbers: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class FairnessEvidence:
    """The metric of every segment that was compared."""

    segments: tuple[SegmentValue, ...]


@dataclass(frozen=True, slots=True)
class SliceValue:
    """A slice and its metric; `worse` is the relative loss against `expected`, None where it was not computed."""

    where: str
    conditions: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    rows: int
    value: float
    expected: float
    worse: float | None = field(default=None, kw_only=True)
    p_value: float


@dataclass(frozen=True, slots=True)
class SliceEvidence:
    """The slices that are worse than expected."""

    slices: tuple[SliceValue, ...]


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """How fast an error budget burns over a window and over its short end; lengths are texts such as "2d"."""

    window: str
    short: str
    burn: float
    short_burn: float
    factor: float
    p_value: float
    rows: int
    breach: bool
    wakes: bool


@dataclass(frozen=True, slots=True)
class BudgetEvidence:
    """`left` is the share of the error budget for the length `over` that is left, below 0 once it is used up."""

    left: float
    over: str
    windows: tuple[BurnWindow, ...]


@dataclass(frozen=True, slots=True)
class EstimatedWindow:
    """The estimate of the window [start, end) with its interval; `realised` is None until ground truth is known."""

    start: int
    end: int
    estimate: float
    low: float
    high: float
    realised: float | None


@dataclass(frozen=True, slots=True)
class EstimateEvidence:
    """`ledger` has the newest estimates, oldest first; `numbers` is empty unless the estimate is a breach."""

    numbers: tuple[Line, ...] = ()
    ledger: tuple[EstimatedWindow, ...] = ()


@dataclass(frozen=True, slots=True)
class SelectedField:
    """How a field differs between rows with ground truth (`labelled`) and `others`: medians, or shares of a value."""

    field: str
    kind: Literal["numbers", "share"]
    difference: float  # in standard deviations, or of the shares
    labelled: float
    others: float
    text: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Whether rows with ground truth look like the others. `fields` differ most.

    `plain` is the metric over rows with ground truth; `corrected` estimates it over all rows (None without a bias),
    with the 95 % interval `low` to `high`. `effective_rows` is the effective sample size under the weights. `message`
    is "" without a bias; `reason` says why nothing was compared ("" where it was).
    """

    biased: bool
    auc: float = math.nan
    p_value: float = math.nan
    fields: tuple[SelectedField, ...] = ()
    plain: float | None = None
    corrected: float | None = None
    low: float | None = None
    high: float | None = None
    effective_rows: float = 0.0
    message: str = ""
    reason: str = ""


Kind = Literal["covariate", "concept", "both", "model", "unknown"]


@dataclass(frozen=True, slots=True)
class ShiftKind:
    """Why the mean loss has grown.

    `share`, with its 90 % interval, is the part of the growth that the inputs explain, or another model if that is the
    `kind`. `growth` is inputs + concept, or `model` (the cost of other predictions) and the rest. `moved` and `usual`
    are the distance of the predictions from the former model's: typical difference, or share of other classes.
    """

    kind: Kind
    message: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    growth: float | None = None
    inputs: float | None = None
    concept: float | None = None
    rows: int = 0
    model: float | None = None
    moved: float | None = None
    usual: float | None = None


@dataclass(frozen=True, slots=True)
class PerformanceEvidence:
    """`numbers` is empty unless performance is a breach; `selection` is None without a bias."""

    numbers: tuple[Line, ...] = ()
    selection: Selection | None = None
    shift: ShiftKind | None = None


@dataclass(frozen=True, slots=True)
class ParityExample:
    """A prediction and its shadow's, as text."""

    prediction_id: str
    time: int
    prediction: str
    shadow: str


@dataclass(frozen=True, slots=True)
class ParityEvidence:
    """`interval` is the value's confidence interval, `size` the mean distance in standard deviations of the shadow.

    `relation` says in words how one prediction follows from the other, "" where it does not.
    """

    numbers: tuple[Line, ...]
    interval: tuple[float, float]
    size: float
    relation: str
    slices: tuple[SliceValue, ...]
    examples: tuple[ParityExample, ...]


Evidence = (
    FieldEvidence
    | SchemaEvidence
    | FairnessEvidence
    | SliceEvidence
    | BudgetEvidence
    | EstimateEvidence
    | PerformanceEvidence
    | ParityEvidence
)
