"""Window → checks: counts of a window that add up. Frozen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

if TYPE_CHECKING:
    from otel_mlmon.values.cells import Counts


Key = TypeVar("Key")


def _added(one: Mapping[Key, int], other: Mapping[Key, int]) -> dict[Key, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}


@dataclass(frozen=True, slots=True)
class FieldProfile:
    """Counts of one field over some rows; they add up. Arrays are aligned with the field's reference.

    `bins` has one count per reference bin plus one below (first) and one above (last), of finite numbers. `categories`
    has one count per known category, in the reference's order; `new` counts unknown ones by name. `top_values` counts
    the most frequent single values, as JSON text. `lost` counts cells that a size limit cut off. `formats` counts
    formats (`window.formats`): whole, negative, numeric_text, padded …
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
    formats: Mapping[str, int] = field(default_factory=dict)
    bins: Counts | None = None
    categories: Counts | None = None
    new: Mapping[str, int] = field(default_factory=dict)
    top_values: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows that could have held the field: all but those that a limit cut off."""
        return self.absent + self.null + self.values

    @property
    def values(self) -> int:
        """Cells with a value of any type, NaN and infinities included."""
        return sum(self.types.values())

    @property
    def unset(self) -> int:
        """Cells that are absent, null or NaN."""
        return self.absent + self.null + self.nan

    @property
    def missing(self) -> int:
        """Cells that are absent, null, NaN or an empty text, as `FieldCells.missing` has them."""
        return self.unset + self.empty

    @property
    def numbers(self) -> int:
        """Finite numbers."""
        return self.types.get("int", 0) + self.types.get("float", 0) - self.nan - self.infinite

    def __add__(self, other: FieldProfile) -> FieldProfile:
        """Counts of both sets of rows, on the bins of one reference."""
        counts = ("absent", "null", "nan", "infinite", "empty", "lost", "sum", "sum_squares")
        a, b = self, other
        return FieldProfile(
            **{name: getattr(a, name) + getattr(b, name) for name in counts},
            types=_added(a.types, b.types),
            minimum=b.minimum if math.isnan(a.minimum) or b.minimum < a.minimum else a.minimum,
            maximum=b.maximum if math.isnan(a.maximum) or b.maximum > a.maximum else a.maximum,
            formats=_added(a.formats, b.formats),
            bins=None if a.bins is None or b.bins is None else a.bins + b.bins,
            categories=None if a.categories is None or b.categories is None else a.categories + b.categories,
            new=_added(a.new, b.new),
            top_values=_added(a.top_values, b.top_values),
        )


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

    def __add__(self, other: PerformanceCounts) -> PerformanceCounts:
        sums = {name: getattr(self, name) + getattr(other, name) for name in ("predictions", *SUMS)}
        return PerformanceCounts(**sums, confusion=_added(self.confusion, other.confusion))


# The counts that the store keeps as columns, in the order of its table.
SUMS: Final = tuple(f.name for f in fields(PerformanceCounts) if f.name not in ("predictions", "confusion"))


class ValueCount(NamedTuple):
    """Count of one value of a field, as JSON text. `kind`: "new" (an unknown category) or "heavy" (a top value)."""

    version: str
    segment: str
    field: str
    kind: str
    value: str
    n: int


class RowSums(NamedTuple):
    """Predictions of one window, model version and segment: all, those cut off, those with a broken feature."""

    start: int
    version: str
    segment: str
    rows: int
    lost: int
    broken: int


class DroppedRows(NamedTuple):
    """Predictions of one window and model version that their sender lost."""

    start: int
    version: str
    rows: int


class ClassCount(NamedTuple):
    """Count of one pair of true and predicted class in one window, model version and segment."""

    start: int
    version: str
    segment: str
    truth: str
    prediction: str
    n: int


class WindowSums(NamedTuple):
    """Sums over several windows. Lines of `sums` hold start, version and segment, then SUMS in their order."""

    rows: list[RowSums]
    dropped: list[DroppedRows]
    sums: list[tuple[Any, ...]]
    classes: list[ClassCount]


@dataclass(frozen=True, slots=True)
class WindowProfile:
    """One model version's predictions in [start, end), all or those in one segment. Times: ns."""

    model: str
    version: str
    segment: str  # "" for the whole, else "key=value"
    start: int
    end: int
    rows: int
    lost_rows: int
    fields: Mapping[str, FieldProfile]
    performance: PerformanceCounts
    broken_rows: int = 0  # with a broken feature: see `window.broken`

    def __add__(self, other: WindowProfile) -> WindowProfile:
        """This window with the rows of another one, for the fields that both have."""
        return replace(
            self,
            rows=self.rows + other.rows,
            performance=self.performance + other.performance,
            fields={
                name: profile + other.fields[name] for name, profile in self.fields.items() if name in other.fields
            },
        )
