"""The evaluation context: the data that checks look at; and the answers that they share.

The engine makes one `EvaluationContext` for a model version and a window. A check receives a view of it: `FieldView`
for one field, `ModelView` for whole predictions. "" is the segment of all rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from otel_mlmon.stats.inference.design_effect import (
    design_effect_of,
    metric_design_effects,
    sampled_design_effect,
    window_design_effect,
)
from otel_mlmon.values import (
    CheckResult,
    Counts,
    FieldCells,
    FieldProfile,
    FieldReference,
    PerformanceCounts,
    Reference,
    RowBlock,
    Target,
    WindowProfile,
)
from otel_mlmon.values.evidence import Evidence

if TYPE_CHECKING:
    from otel_mlmon.rulefile import GroundTruthRule
    from otel_mlmon.values import Floats

Rows = Counts  # places of rows in a block

NO_CELLS = FieldProfile(0, 0, 0, 0, 0, 0, {}, 0.0, 0.0, float("nan"), float("nan"))
_NEVER_SURE = 0.5  # p-value above which no confidence that a rule may state makes a breach sure


# Count the numbers of a field in [start, end) below `low` or above `high`: bins cannot tell, so rows are read.
OutsideCounter = Callable[[Target, int, int, "float | None", "float | None"], int]
# Count the selected rows for which an SQL condition is true, and those for which it is false.
Condition = Callable[[RowBlock, Rows, str], tuple[int, int]]
# Compute an SQL aggregate of the selected rows, then of all but those of each group.
Aggregate = Callable[[RowBlock, Rows, str, Rows], list[float]]


@dataclass(frozen=True, slots=True)
class SqlFunctions:
    """Calculations that the store's database does for checks."""

    count_outside: OutsideCounter
    condition: Condition
    aggregate: Aggregate


class Arrivals(NamedTuple):
    """Predictions by pane: start of each pane with any (ns), how many, and the length of a pane (ns)."""

    panes: Rows
    rows: Rows
    pane_ns: int


NO_ARRIVALS = Arrivals(np.zeros(0, np.int64), np.zeros(0, np.int64), 1)


class History(Protocol):
    """The same model version in other stretches of time, as it is known at the context's time."""

    def arrivals(self, start: int, end: int) -> Arrivals: ...
    def windows(self, start: int, end: int) -> Mapping[str, WindowProfile]: ...


class SequentialMemory:
    """The state that one rule's sequential tests keep from window to window, by segment and field."""

    def __init__(self, document: MutableMapping[str, Any] | None = None) -> None:
        """`document` is plain data, as `put` leaves it."""
        self.document = {} if document is None else document

    def get(self, segment: str, name: str) -> Mapping[str, Any]:
        """Return the state of one test; empty before its first window."""
        state: Mapping[str, Any] = self.document.get(segment, {}).get(name, {})
        return state

    def put(self, segment: str, name: str, state: Mapping[str, Any]) -> None:
        """Replace the state of one test."""
        self.document.setdefault(segment, {})[name] = state


ReadRows = Callable[[Sequence[str]], RowBlock | None]  # segment keys → all rows of the window


@dataclass(slots=True)
class WindowRows:
    """Rows of one window of one model, read only when a check needs more than counts.

    All checks of a tick share them: they are read at most once per segment key, and at once for those of `keys`.
    `whole` has the same rows with all of their columns, where these have some only.
    """

    read: ReadRows
    keys: Sequence[str] = ()
    whole: WindowRows | None = None
    _blocks: dict[str, RowBlock | None] = field(default_factory=dict)

    def select(self, version: str, segment: str) -> tuple[RowBlock | None, Rows]:
        """Return the window's rows, and the places of this version's and segment's rows."""
        key, _, value = segment.partition("=")
        block = self._block(key)
        if block is None or version not in block.versions.labels:
            return block, np.zeros(0, np.int64)
        mask = block.versions.codes == block.versions.labels.index(version)
        if key:
            texts = block.segments[key]
            mask = mask & (texts.codes == texts.labels.index(value)) if value in texts.labels else mask & False
        return block, np.flatnonzero(mask)

    def _block(self, key: str) -> RowBlock | None:
        """All rows, with the values of one segment key: checks take every segment key of a block for a column."""
        if key not in self._blocks:
            together = [*self.keys] if not key or key in self.keys else [key]
            block = self.read(together)
            for name in ("", *together):
                held = {name} & set(together)
                part = None if block is None else replace(block, segments={k: block.segments[k] for k in held})
                self._blocks.setdefault(name, part)
        return self._blocks[key]

    def numbers(self, version: str, segment: str, name: str) -> Floats:
        block, rows = self.select(version, segment)
        cells = block.fields.get(name) if block is not None else None
        return np.zeros(0) if cells is None else finite_numbers(cells, rows)


def finite_numbers(cells: FieldCells, rows: Rows) -> Floats:
    """Return the finite numbers in these rows; none where the field is stored as text."""
    if cells.numbers is None:
        return np.zeros(0)
    numbers: Floats = cells.numbers[rows]
    return numbers[np.isfinite(numbers)]


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that this one is compared with on the same predictions; `rows` have prediction ids."""

    version: str
    rows: WindowRows


@dataclass(frozen=True, slots=True)
class EvaluationContext:
    """One model version in the window [start, end), as it is known at `time`. Times: ns.

    - `windows`: profiles by segment; a segment without rows has none.
    - `rows`: the predictions of the window, with the ground truth that is known at `time` where the rule judges that.
    - `shadowed`: the few predictions of the window that have a shadow, with the two predictions only.
    - `champion`: None where no two versions are compared.
    - `history` and `memory`: None outside the engine.
    - `budget_shares`: number of sequential tests that share the budget of false alarms of the rule.
    """

    model: str
    version: str
    start: int
    end: int
    time: int
    reference: Reference | None
    windows: Mapping[str, WindowProfile]
    rows: WindowRows
    shadowed: WindowRows | None = None
    sql: SqlFunctions | None = None
    history: History | None = None
    champion: Champion | None = None
    memory: SequentialMemory | None = None
    budget_shares: int = 1

    def segments(self, keys: Iterable[str]) -> list[str]:
        """Return the whole, and each value of these segment keys that the reference or the window knows."""
        keys = set(keys)
        known = {s for s in (self.reference.segments if self.reference else ()) if s.partition("=")[0] in keys}
        seen = {w.segment for w in self.windows.values() if w.segment.partition("=")[0] in keys}
        return ["", *sorted(known | seen)]

    def view(self, segment: str) -> ModelView:
        """Return one segment of the window."""
        return ModelView(self, segment)

    def field(self, name: str, segment: str) -> FieldView:
        window = self.windows.get(segment)
        return FieldView(
            context=self,
            segment=segment,
            name=name,
            profile=NO_CELLS if window is None else window.fields.get(name, NO_CELLS),
            reference=self.reference.fields.get(name) if self.reference else None,
            expected=expected_profile(self.reference, segment, name),
        )


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field of one segment of a window.

    `expected` is the reference's profile for this segment, or of the whole where the reference does not know the
    segment.
    """

    context: EvaluationContext
    segment: str
    name: str
    profile: FieldProfile
    reference: FieldReference | None
    expected: FieldProfile | None

    def design_effect(self, rows: int, of: Literal["values", "missing", "tails", "single"] = "values") -> float:
        """Return how many of so many consecutive rows count as one independent row."""
        return design_effect_of(self.reference.design_effects.get(of, {}), rows) if self.reference else 1.0

    def count_outside(self, low: float | None, high: float | None) -> int:
        """Count the window's numbers below `low` or above `high` in the rows."""
        context = self.context
        assert context.sql is not None
        target = Target(context.model, context.version, self.segment, self.name)
        return context.sql.count_outside(target, context.start, context.end, low, high)

    def numbers(self) -> Floats:
        """Read the field's finite numbers from the rows; only a breach is worth that."""
        return self.context.rows.numbers(self.context.version, self.segment, self.name)

    def part(self, segment: str) -> tuple[FieldProfile | None, FieldProfile | None]:
        """Return the field's profiles of one segment: the reference's own, and the window's."""
        reference, window = self.context.reference, self.context.windows.get(segment)
        known = reference.segments.get(segment) if reference else None
        return known.profiles.get(self.name) if known else None, window.fields.get(self.name) if window else None


@dataclass(frozen=True, slots=True)
class ModelView:
    """The whole predictions of one segment of a window."""

    context: EvaluationContext
    segment: str

    @property
    def window(self) -> WindowProfile | None:
        """Return the profile; None where the segment has no rows."""
        return self.context.windows.get(self.segment)

    @property
    def reference(self) -> Reference | None:
        return self.context.reference

    @property
    def n(self) -> int:
        """Return the number of predictions."""
        return self.window.rows if self.window else 0

    @property
    def counts(self) -> PerformanceCounts:
        """Return the sums over the predictions with ground truth."""
        return self.window.performance if self.window else PerformanceCounts()

    @property
    def expected_counts(self) -> PerformanceCounts | None:
        """Return the reference's sums of this segment, or of the whole where it does not know the segment."""
        if self.reference is None:
            return None
        part = self.reference.segments.get(self.segment)
        return self.reference.performance if part is None else part.performance

    def block(self) -> tuple[RowBlock | None, Rows]:
        """Read the rows; return a block of them and the places of this segment's."""
        return self.context.rows.select(self.context.version, self.segment)

    def design_effects(self, method: str) -> tuple[float, float]:
        """Return the design effects of a metric's errors, in the window and in the reference."""
        return error_design_effects(self.context.reference, self.context.windows, self.segment, method)


def expected_profile(reference: Reference | None, segment: str, name: str) -> FieldProfile | None:
    """Return the reference's profile of a field in a segment; of the whole, where it does not know the segment."""
    if reference is None or name not in reference.fields:
        return None
    if segment in reference.segments:
        return reference.segments[segment].profiles.get(name)
    return reference.fields[name].profile


def error_design_effects(
    reference: Reference | None, windows: Mapping[str, WindowProfile], segment: str, method: str
) -> tuple[float, float]:
    """Return the design effects of a metric's errors: of the window's rows with ground truth, and of the reference's.

    The reference measured this on its own rows. A segment that it did not measure is taken for a random part of the
    whole.
    """
    if reference is None or segment not in windows:
        return 1.0, 1.0
    part = reference.segments.get(segment)
    own = metric_design_effects(method, part.outcome_effects) if part is not None else {}
    measured = own or metric_design_effects(method, reference.outcome_effects)
    among = windows[segment if own or "" not in windows else ""].performance.predictions
    counts = windows[segment].performance
    known = reference.performance if part is None else part.performance
    window = window_design_effect(method, sampled_design_effect(measured, counts.with_truth, among), counts, known)
    rows = known.with_truth if known is not None else 0
    return window, sampled_design_effect(measured, rows, rows if own else max(rows, reference.rows))


def no_data(reason: str, message: str, *, rows: int = 0, reference_rows: int = 0) -> CheckResult:
    """Return the result of a window with too little to judge: neither good nor bad."""
    return CheckResult("no_data", reason, rows=rows, reference_rows=reference_rows, message=message)


def too_few_predictions(rows: int, wanted: int) -> CheckResult:
    """Return the result of a window with fewer rows than the rule asks for."""
    reason = "no_rows" if not rows else "too_few_rows"
    return no_data(reason, f"{rows} predictions, the rule asks for at least {wanted}", rows=rows)


def too_few_values(count: int, unit: str, wanted: int, reference_rows: int = 0) -> CheckResult:
    """Return the result of a field with fewer values than the rule asks for."""
    reason = "no_values" if not count else "too_few_rows"
    message = f"{count} {unit}, the rule asks for at least {wanted}"
    return no_data(reason, message, rows=count, reference_rows=reference_rows)


def not_in_reference(field: FieldView, key: str = "", rows: int = 0) -> CheckResult:
    """Return the result of a field that the reference does not know; `key` of the rule would do in its place."""
    without = f" and the rule has no `{key}`" if key else ""
    return no_data("not_in_reference", f"{field.name} is not in the reference{without}", rows=rows)


def percent(part: int, whole: int) -> str:
    """Return a share as people read it."""
    return f"{part / whole:.1%}" if whole else "0%"


def has_enough_ground_truth(rule: GroundTruthRule, predictions: Any, with_truth: Any) -> Any:
    """Return whether so many predictions with ground truth are enough to judge by; for numbers or arrays."""
    return (with_truth >= rule.min_ground_truth) & (with_truth >= rule.min_coverage * predictions) & (with_truth > 0)


def too_little_ground_truth(rule: GroundTruthRule, counts: PerformanceCounts) -> CheckResult | None:
    """Return the result of a window with less ground truth than the rule asks for; None where there is enough."""
    known = counts.with_truth
    if has_enough_ground_truth(rule, counts.predictions, known):
        return None
    message = f"ground truth is known for {known} of {counts.predictions} predictions; the rule asks for "
    message += f"{rule.min_ground_truth} and {rule.min_coverage:.0%}"
    return no_data("too_little_ground_truth", message, rows=known)


@dataclass(frozen=True, slots=True)
class Limit:
    """The worst value that is fine; beyond `critical` the alert is critical."""

    value: float
    critical: float | None = None
    higher_is_worse: bool = True


def compare(
    value: float,
    limit: Limit,
    p_value: float = math.nan,
    *,
    rows: int,
    message: str,
    reference_rows: int = 0,
    finding: str = "",
    evidence: Callable[[], Evidence | None] = lambda: None,
) -> CheckResult:
    """Compare a value with its limit. NaN is no data, never ok.

    A breach is one by size; the engine decides later, together with all other tests of the tick, whether it is sure.
    Without a p-value (NaN) the size alone decides. Only a breach asks for `evidence`.
    """
    if math.isnan(value):
        return no_data("no_values", f"{message}: not defined for this window", rows=rows, reference_rows=reference_rows)
    sign = 1 if limit.higher_is_worse else -1
    beyond = sign * value > sign * limit.value
    severe = limit.critical is not None and sign * value > sign * limit.critical
    return CheckResult(
        "breach" if beyond else "ok",
        "beyond_threshold" if beyond else "within_threshold",
        value=value,
        threshold=limit.value,
        p_value=None if math.isnan(p_value) else p_value,
        rows=rows,
        reference_rows=reference_rows,
        message=message,
        finding=finding if beyond else "",
        level="critical" if beyond and severe else "",
        evidence=evidence() if beyond and not p_value > _NEVER_SURE else None,
    )
