"""The values that travel between the stages of the processor. Frozen; no behaviour beyond simple views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from otel_mlmon.stats.estimation.estimators import Estimators
    from otel_mlmon.stats.principal_components import PrincipalComponents

    Counts = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]


FREQUENT_VALUES: Final = 32  # single values kept by name per field, of a pane and of a reference


# ---- decode → store -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """One field of a batch: `columns.Column` in Arrow form. Type of `values`: int64, float64, string or bool."""

    values: pa.Array
    absent: pa.Array | None = None  # bool
    other: pa.Array | None = None  # string, JSON text


@dataclass(frozen=True, slots=True)
class PredictionBatch:
    """Predictions of one model and version, columns of equal length.

    `fields` maps a field's name (`semconv.FIELD_PREDICTION`, `semconv.score_field`, or a feature's own name) to its
    column; `dropped` counts rows that the sender says it lost before this batch. `origin` has the resource attributes that
    say who sent it (`semconv.ORIGIN`), as far as they are known.
    """

    model: str
    version: str
    ids: pa.Array  # string, no nulls
    times: pa.Array  # int64, ns since the epoch, no nulls
    fields: Mapping[str, FieldColumn]
    segments: Mapping[str, pa.Array]  # string
    durations: pa.Array  # float64, seconds
    trace_ids: pa.Array  # string, hex
    span_ids: pa.Array  # string, hex
    error_types: pa.Array  # string
    lost: pa.Array  # int32, no nulls
    dropped: int = 0
    origin: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GroundTruthBatch:
    """True outcomes of one model's predictions, by prediction id. `times`: when each became known, ns.

    With `keys`, feature → column without nulls, each is of all predictions that have these values; `ids` are then empty texts.
    """

    model: str
    ids: pa.Array  # string, no nulls
    times: pa.Array  # int64, ns, no nulls
    values: FieldColumn
    keys: Mapping[str, FieldColumn] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class GroundTruthLayout:
    """Which columns of a table of ground truth are what.

    `model` "": the column "model" says it. `time` "": `known_at` (ns) holds for all, or the time of receipt where that is None.
    `keys`: (feature, column) pairs that stand for the column `id`. `first_row`: number of the first row, in messages.
    """

    model: str = ""
    id: str = "prediction_id"
    value: str = "ground_truth"
    time: str = ""
    keys: tuple[tuple[str, str], ...] = ()
    known_at: int | None = None
    first_row: int = 1


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """Something about a model that was seen for the first time, or that somebody says was deployed. `time`: ns.

    `model` "": all models. `kind`: model_version, service_version, feature_set, client or deployment. `text` is for people.
    """

    model: str
    kind: str
    value: str
    time: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """What somebody says was deployed."""

    events: tuple[ChangeEvent, ...]

    def __len__(self) -> int:
        return len(self.events)


Batch = PredictionBatch | GroundTruthBatch | ChangeBatch


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one request held. `rejected` maps a reason to rows; `message` explains the first rejection."""

    batches: tuple[Batch, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    message: str = ""
    ignored: int = 0  # records that are none of ours


# ---- store → window -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of text, dictionary-encoded: `labels[codes[i]]`, -1 where there is none."""

    codes: npt.NDArray[np.int32]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class FieldCells:
    """Cells of one field as stored. `states` holds a letter per row (see `store.states`).

    Exactly one of `numbers` (NaN where there is none) and `texts` is set, by the stored column's type.
    `other_texts[i]` is the JSON text of the value in row `other_rows[i]`, which is of another type.
    """

    states: npt.NDArray[np.uint8]
    numbers: Floats | None
    texts: Texts | None
    other_rows: npt.NDArray[np.int64]
    other_texts: list[str]


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Stored predictions of one model with their ground truth so far, columns of equal length. `ids`: only where asked for."""

    model: str
    times: npt.NDArray[np.int64]
    versions: Texts
    lost: npt.NDArray[np.bool_]
    durations: Floats
    fields: Mapping[str, FieldCells]
    segments: Mapping[str, Texts]
    truth_known: npt.NDArray[np.bool_]
    truth_times: npt.NDArray[np.int64]  # when it became known; 0 where it is not
    truth_numbers: Floats
    truth_texts: Texts
    ids: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.times)


# ---- window → evaluate ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """Counts that add up, of one field over some rows. Arrays are aligned with the field's reference.

    `bins` has one count per reference bin plus one below (first) and one above (last); it counts finite numbers.
    `categories` has one count per known category, in the reference's order; `new` counts unknown ones by name.
    `heavy` counts the most frequent single values, as JSON text. `lost` counts cells that a size limit cut off.
    `forms` counts how values are written (`window.forms`): whole, negative, numeric_text, padded …
    """

    absent: int
    null: int
    nan: int
    infinite: int
    empty: int  # empty strings
    lost: int
    types: Mapping[str, int]  # int, float, string, bool, array, map
    sum: float
    sum_squares: float
    minimum: float  # NaN when there was no finite number
    maximum: float
    forms: Mapping[str, int] = field(default_factory=dict)
    bins: Counts | None = None
    categories: Counts | None = None
    new: Mapping[str, int] = field(default_factory=dict)
    heavy: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that could have held the field: all but those that a limit cut off."""
        return self.absent + self.null + self.values

    @property
    def values(self) -> int:
        """Cells with a value of any type, NaN and infinities included."""
        return sum(self.types.values())

    @property
    def numbers(self) -> int:
        """Finite numbers."""
        return self.types.get("int", 0) + self.types.get("float", 0) - self.nan - self.infinite


@dataclass(frozen=True, slots=True)
class PerformanceCounts:
    """Sums over predictions whose ground truth is known, from which performance metrics follow.

    Error = prediction - truth. `confusion` counts (truth, prediction) pairs of class names.
    """

    predictions: int = 0
    with_truth: int = 0
    numeric: int = 0
    sum_error: float = 0.0
    sum_abs_error: float = 0.0
    sum_squared_error: float = 0.0
    sum_fourth_error: float = 0.0  # sum of error to the fourth power
    sum_truth: float = 0.0
    sum_squared_truth: float = 0.0
    sum_abs_truth: float = 0.0
    sum_abs_relative_error: float = 0.0  # over rows whose truth is not 0
    relative_rows: int = 0
    confusion: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WindowProfile:
    """One model version's predictions in [start, end), whole or one segment of them. Times: ns."""

    model: str
    version: str
    segment: str  # "" for the whole, else "key=value"
    start: int
    end: int
    rows: int
    lost_rows: int
    fields: Mapping[str, FieldProfile]
    performance: PerformanceCounts
    broken_rows: int = 0  # with a feature that breaks what the reference knows of it


# ---- reference ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FieldReference:
    """What normal is for one field. `type`: int, float, string or bool.

    `kind` numeric: `edges` are the frozen inner and outer bin edges (len(profile.bins) - 1 of them); categorical: `categories`
    are in order of frequency (most frequent first).
    `constants` are the most frequent of the values that occur more than once, as JSON text → share of all rows; any
    other value's share is no larger than the smallest of them, or than that of one row.
    `design_effects` of "values", "missing", "tails" and "single" values map a number of consecutive rows to how many of them
    are worth one independent row (Kish); {} where the order of the rows is not known.
    """

    name: str
    type: str
    kind: Literal["numeric", "categorical"]
    profile: FieldProfile
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    design_effects: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


class Figure(NamedTuple):
    """A metric over `rows` rows, and its standard error."""

    value: float
    standard_error: float
    rows: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A model's normal, frozen. `segments` maps "key=value" to that segment's own profiles and performance."""

    model: str
    name: str
    version: str
    created: str  # ISO 8601
    source: str
    rows: int
    fields: Mapping[str, FieldReference]
    performance: PerformanceCounts | None = None
    segments: Mapping[str, SegmentReference] = field(default_factory=dict)
    importances: Mapping[str, float] = field(default_factory=dict)  # how much the model uses a feature; any unit
    components: PrincipalComponents | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)  # by metric, of those that need rows
    estimators: Estimators | None = None


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """A segment's share of the reference: profiles on the whole's bins, and performance."""

    rows: int
    profiles: Mapping[str, FieldProfile]
    performance: PerformanceCounts | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)


# ---- evaluate → export ----------------------------------------------------------------------------------------

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


# ---- export ---------------------------------------------------------------------------------------------------


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
