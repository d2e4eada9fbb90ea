"""The performance rules, and every kind of rule by its check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from otel_mlmon.rulefile.drift_rules import DriftRule, FeatureSetDrift, GradualDrift, MultivariateDrift
from otel_mlmon.rulefile.integrity_rules import (
    DefaultValue,
    Duplicates,
    Expression,
    Format,
    Freshness,
    Latency,
    Missing,
    OutOfRange,
    Schema,
    Stuck,
    TypeMismatch,
    Volume,
)
from otel_mlmon.rulefile.patterns import Label
from otel_mlmon.rulefile.quantities import Count, Margin, Number, Share, Size
from otel_mlmon.rulefile.rule import Family, RuleBase, problem


class PerformanceRule(RuleBase):
    """Whether the predictions are as good as they were, once the ground truth is known."""

    family: ClassVar[Family] = "performance"
    limit: ClassVar[Literal["above", "below"]]

    worse_than_reference: Margin | None = Field(
        None, description="How much worse than the reference is still fine, relative to the reference."
    )
    critical: Number | None = Field(
        None, description="Beyond this the alert's label severity is critical; in the unit of the limit that is given."
    )
    min_ground_truth: Count = Field(100, description="With fewer predictions whose ground truth is known: no_data.")
    min_coverage: Share = Field(
        0.5,
        json_schema_extra={"default": "50%"},
        description="With a smaller share of predictions whose ground truth is known: no_data.",
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        absolute = getattr(self, self.limit) is not None
        relative = self.worse_than_reference is not None
        if absolute and relative:
            raise problem(f"both {self.limit} and worse_than_reference; write two rules", "worse_than_reference")
        if relative and self.method == "bias":
            raise problem("a good model's bias is about 0, and no percentage of that means much; use above",
                          "worse_than_reference")  # fmt: skip
        if not absolute and not relative and self.false_alarms is None:
            either = self.limit if self.method == "bias" else f"{self.limit} or worse_than_reference"
            raise problem(f"no limit; add {either}")
        return self


class ErrorMetric(PerformanceRule):
    """Metrics that grow as a model gets worse."""

    limit = "above"

    performance: Literal["rmse", "mae", "bias", "mape"]
    above: Size | None = Field(None, description="Largest value that is fine, in the unit of the prediction.")


class ScoreMetric(PerformanceRule):
    """Metrics that fall as a model gets worse."""

    limit = "below"

    performance: Literal["r2", "accuracy"]
    below: Number | None = Field(None, description="Smallest value that is fine.")


class ClassMetric(PerformanceRule):
    """Metrics of one class of a classifier, which fall as it gets worse."""

    limit = "below"

    performance: Literal["precision", "recall", "f1"]
    below: Share | None = Field(None, description="Smallest value that is fine.")
    positive: Label | None = Field(None, description="The class in question. Default: the mean over all classes.")


Rule = (
    Missing
    | TypeMismatch
    | OutOfRange
    | DefaultValue
    | Stuck
    | Format
    | Schema
    | Volume
    | Freshness
    | Latency
    | Duplicates
    | Expression
    | DriftRule
    | GradualDrift
    | MultivariateDrift
    | FeatureSetDrift
    | ErrorMetric
    | ScoreMetric
    | ClassMetric
)
RuleModel = type[Rule]


def _kinds() -> Iterator[tuple[tuple[Family, str], RuleModel]]:
    for model in get_args(Rule):
        for method in get_args(model.model_fields[model.family].annotation):
            yield (model.family, method), model


KINDS: Final[Mapping[tuple[Family, str], RuleModel]] = dict(_kinds())
"""Every check: (family, method) → the model of its rules."""

FAMILIES: Final[tuple[Family, ...]] = get_args(Family)


def methods(family: Family) -> tuple[str, ...]:
    """The methods of a family, in the order of the documentation."""
    return tuple(method for other, method in KINDS if other == family)


def keys(model: RuleModel) -> set[str]:
    """The keys that a rule of this model may have, as the file spells them."""
    return {field.alias or name for name, field in model.model_fields.items()}
