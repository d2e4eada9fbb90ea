"""Rules about the data itself: single values, rows and the stream of rows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from otel_mlmon.rulefile.patterns import Globs, Label, Text
from otel_mlmon.rulefile.quantities import Count, Number, PositiveDuration, Share, finite, shown
from otel_mlmon.rulefile.rule import Family, FieldRule, RuleBase, problem

Constant = str | bool | int | float


def _constant(value: object) -> Constant:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # -1 and -1.0 are the same constant
    if isinstance(value, str) or (isinstance(value, (bool, int, float)) and finite(value)):
        return value
    raise ValueError(f"found {shown(value)}, allowed is text, a finite number, true or false")


_Constant = Annotated[Constant, BeforeValidator(_constant), WithJsonSchema({"type": ["string", "number", "boolean"]})]


class _Levels(RuleBase):
    """A limit, and a second limit beyond it for critical alerts."""

    family: ClassVar[Family] = "integrity"

    above: Share | None = Field(
        None, description="Largest allowed share of rows. Default: it follows from the reference."
    )
    critical: Share | None = Field(None, description="Beyond this share the alert's label severity is critical.")

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        if self.above is not None and self.critical is not None and self.critical <= self.above:
            raise problem(f"critical {self.critical:g} is not beyond above {self.above:g}", "critical")
        return self


class IntegrityRule(_Levels, FieldRule):
    """A rule about the share of rows with a wrong value."""


class Missing(IntegrityRule):
    """The field is absent, null, NaN or an empty text."""

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
    minimum: Number | None = Field(None, description="Smallest allowed number. Default: the reference's.")
    maximum: Number | None = Field(None, description="Largest allowed number. Default: the reference's.")
    categories: tuple[Label, ...] | None = Field(
        None, min_length=1, description="The allowed categories. Default: the reference's."
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
        None, min_length=1, description="The constants to watch. Default: all frequent values."
    )


class Stuck(IntegrityRule):
    """The field has a single value, but the reference has several."""

    integrity: Literal["stuck"]


class Format(IntegrityRule):
    """Values are written in another format: decimals lost, integers beyond 32 or 53 bits, another encoding, case or
    padding of text, other formats of numbers or dates.
    """

    integrity: Literal["format"]


class ModelIntegrityRule(RuleBase):
    """A rule about whole predictions, not single fields."""

    family: ClassVar[Family] = "integrity"

    min_rows: Count = Field(30, description="With fewer rows the verdict is no_data.")


class Schema(ModelIntegrityRule):
    """Features were added, removed, renamed or swapped, or several went missing together."""

    integrity: Literal["schema"]
    ignore: Globs = Field((), description="Globs of features that may come and go.")


class Volume(ModelIntegrityRule):
    """Too few or too many predictions in the window."""

    integrity: Literal["volume"]
    minimum: Count | None = Field(None, description="Smallest allowed number of predictions in a window.")
    maximum: Count | None = Field(None, description="Largest allowed number of predictions in a window.")
    min_rows: Count = Field(1, description="Not used.", exclude=True)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise problem(f"minimum {self.minimum} is above maximum {self.maximum}", "minimum")
        return self


class Freshness(ModelIntegrityRule):
    """The newest prediction is too old."""

    integrity: Literal["freshness"]
    above: PositiveDuration = Field(description="Largest allowed age of the newest prediction.")
    min_rows: Count = Field(1, description="Not used.", exclude=True)


class Latency(ModelIntegrityRule):
    """Predictions take too long."""

    integrity: Literal["latency"]
    quantile: Share = Field(0.95, json_schema_extra={"default": "95%"}, description="The quantile of the durations.")
    above: PositiveDuration = Field(description="Longest allowed duration at that quantile.")


class Duplicates(_Levels, ModelIntegrityRule):
    """Rows of the window with the same features as another row."""

    integrity: Literal["duplicates"]
    above: Share = Field(0.01, json_schema_extra={"default": "1%"}, description="Largest allowed share of rows.")


class Expression(_Levels, ModelIntegrityRule):
    """A condition in SQL that every row must meet."""

    integrity: Literal["expression"]
    expression: Text = Field(description='A condition over the features of a row, e.g. "bedrooms <= rooms".')
    above: Share = Field(0.0, json_schema_extra={"default": "0%"}, description="Largest allowed share of violations.")


IntegrityModel = (
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
)
