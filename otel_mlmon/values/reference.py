"""The reference: a model's normal state. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from otel_mlmon.values.estimators import Estimators, PrincipalComponents
from otel_mlmon.values.profiles import FieldProfile, PerformanceCounts

# Name of a sum over rows → number of consecutive rows → design effect: rows that are worth one independent row (Kish).
Effects = Mapping[str, Mapping[int, float]]
FREQUENT_VALUES: Final = 32  # single values kept by name per field, of a pane and of a reference


@dataclass(frozen=True, slots=True)
class FieldReference:
    """The normal state of one field. `type`: int, float, string or bool.

    `kind` numeric: `edges` are the frozen inner and outer bin edges (len(profile.bins) - 1). `kind` categorical:
    `categories` in order of frequency (most frequent first).

    `constants` are the most frequent of the values that occur more than once, as JSON text → share of all rows. No
    other value has a larger share than the rarest constant, or than one row.

    `design_effects` of "values", "missing", "tails" and "single" values map a number of consecutive rows to the number
    of rows that carry as much information as one independent row (Kish); {} where the order of the rows is not known.
    """

    name: str
    type: str
    kind: Literal["numeric", "categorical"]
    profile: FieldProfile
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    design_effects: Effects = field(default_factory=dict)

    @property
    def few_values(self) -> bool:
        """Whether each bin of a numeric field holds one value only; then the last edge stands twice."""
        return len(self.edges) > 1 and self.edges[-1] == self.edges[-2]


class MetricValue(NamedTuple):
    """The value of a metric over `rows` rows, and its standard error."""

    value: float
    standard_error: float
    rows: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A model's normal state. `segments` maps "key=value" to that segment's own profiles and performance.

    `outcome_effects` are the design effects of sums: "error", "absolute_error", "squared_error", "zero_one", and each
    metric in `metric_values` by its name; {} where neighbouring rows are not known to be alike.
    """

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
    metric_values: Mapping[str, MetricValue] = field(default_factory=dict)  # of metrics that need rows, by name
    estimators: Estimators | None = None
    outcome_effects: Effects = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SegmentReference:
    """A segment's share of the reference: profiles on the whole's bins, and performance."""

    rows: int
    profiles: Mapping[str, FieldProfile]
    performance: PerformanceCounts | None = None
    metric_values: Mapping[str, MetricValue] = field(default_factory=dict)
    outcome_effects: Effects = field(default_factory=dict)  # of its own rows, which may lie further apart
