"""One model per kind of check, with that kind's own keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from otel_mlmon.rulefile.patterns import Label
from otel_mlmon.rulefile.quantities import Count, Margin, Number, Share, Size, finite, shown
from otel_mlmon.rulefile.rule import Family, FieldRule, RuleBase, problem

DriftMethod = Literal["psi", "kolmogorov_smirnov", "jensen_shannon", "chi_squared"]
Constant = str | bool | int | float

DRIFT_THRESHOLDS: Final[Mapping[DriftMethod, float]] = {
    "psi": 0.2,
    "kolmogorov_smirnov": 0.1,
    "jensen_shannon": 0.1,
    "chi_squared": 0.1,
}


def _constant(value: object) -> Constant:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # -1 and -1.0 are one constant
    if isinstance(value, str) or (isinstance(value, (bool, int, float)) and finite(value)):
        return value
    raise ValueError(f"found {shown(value)}, allowed is text, a finite number, true or false")


_Constant = Annotated[Constant, BeforeValidator(_constant), WithJsonSchema({"type": ["string", "number", "boolean"]})]


class IntegrityRule(FieldRule):
    """Whether values are what they should be, judged by the share of the rows where they are not."""

    family: ClassVar[Family] = "integrity"

    above: Share | None = Field(
        None, description="Largest share of rows that is fine. Without it, what is fine follows from the reference."
    )


class Missing(IntegrityRule):
    """The field is absent, null or NaN."""

    integrity: Literal["missing"]


class TypeMismatch(IntegrityRule):
    """The value is of another type."""

    integrity: Literal["type"]
    expect: Literal["int", "float", "string", "bool"] | None = Field(
        None, description="The right type. Default: the reference's."
    )


class OutOfRange(IntegrityRule):
    """The number lies outside the range, or the category is unknown."""

    integrity: Literal["range"]
    minimum: Number | None = Field(None, description="Smallest number that is fine. Default: the reference's.")
    maximum: Number | None = Field(None, description="Largest number that is fine. Default: the reference's.")
    categories: tuple[Label, ...] | None = Field(
        None, min_length=1, description="All categories that are fine. Default: the reference's."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise problem(f"minimum {self.minimum:g} is above maximum {self.maximum:g}", "minimum")
        return self


class DefaultValue(IntegrityRule):
    """The share of a constant that stands for "not known" has changed, or another constant has appeared."""

    integrity: Literal["default_value"]
    values: tuple[_Constant, ...] | None = Field(
        None, min_length=1, description="The constants to watch. Default: those that stand out."
    )


class DriftRule(FieldRule):
    """Whether a distribution is still that of the reference."""

    family: ClassVar[Family] = "drift"

    drift: DriftMethod = Field(description="How the distance of two distributions is measured.")
    above: Size = Field(
        default_factory=lambda data: DRIFT_THRESHOLDS[data["drift"]],
        description="Largest distance that is fine. Default: "
        + ", ".join(f"{method} {threshold}" for method, threshold in DRIFT_THRESHOLDS.items())
        + ".",
    )
    min_rows: Count = Field(200, description="With fewer rows the verdict is no_data.")


class PerformanceRule(RuleBase):
    """Whether the predictions are as good as they were, once the ground truth is known."""

    family: ClassVar[Family] = "performance"
    limit: ClassVar[Literal["above", "below"]]

    worse_than_reference: Margin | None = Field(
        None, description="How much worse than the reference is still fine, relative to the reference."
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
        if not absolute and not relative:
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


Rule = Missing | TypeMismatch | OutOfRange | DefaultValue | DriftRule | ErrorMetric | ScoreMetric | ClassMetric
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
