"""Rules about performance: compare predictions with the ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from otel_mlmon.rulefile.patterns import Label, Text
from otel_mlmon.rulefile.quantities import Count, Margin, Number, Share, Size
from otel_mlmon.rulefile.rule import Family, RuleBase, problem

Limit = Literal["above", "below"]


class GroundTruthRule(RuleBase):
    """A rule that judges the newest window with enough ground truth."""

    min_ground_truth: Count = Field(100, description="With fewer predictions with ground truth: no_data.")
    min_coverage: Share = Field(
        0.5,
        json_schema_extra={"default": "50%"},
        description="With a smaller share of predictions with ground truth: no_data.",
    )


class PerformanceRule(GroundTruthRule):
    """A metric of predictions and ground truth, with a limit of its own or relative to the reference."""

    family: ClassVar[Family] = "performance"
    relative: ClassVar[bool] = True  # whether a reference has a value of the metric

    worse_than_reference: Margin | None = Field(
        None, description="Largest allowed degradation against the reference, relative to the reference."
    )
    critical: Number | None = Field(
        None, description="Beyond this the alert's label severity is critical; in the unit of the limit."
    )

    @property
    def limit(self) -> Limit:
        """The key that limits the metric itself."""
        return "above" if "above" in type(self).model_fields else "below"

    @property
    def absolute(self) -> float | None:
        """The limit of the metric itself; None if it follows from the reference."""
        limit: float | None = getattr(self, self.limit)
        return limit

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        absolute = self.absolute is not None
        relative = self.worse_than_reference is not None
        if relative and not self.relative:
            raise problem(f"a reference has no {self.method}; use {self.limit}", "worse_than_reference")
        if absolute and relative:
            raise problem(f"both {self.limit} and worse_than_reference; write two rules", "worse_than_reference")
        if relative and self.method == "bias":
            message = "a good model's bias is about 0, and no percentage of that means much; use above"
            raise problem(message, "worse_than_reference")
        if not absolute and not relative and (self.false_alarms is None or not self.relative):
            either = (
                self.limit if self.method == "bias" or not self.relative else f"{self.limit} or worse_than_reference"
            )
            raise problem(f"no limit; add {either}")
        return self


class ErrorMetric(PerformanceRule):
    """Metrics that grow as a model gets worse."""

    performance: Literal["rmse", "mae", "bias", "mape", "wape"]
    above: Size | None = Field(None, description="Largest allowed value, in the unit of the prediction.")


class ScoreMetric(PerformanceRule):
    """Metrics that fall as a model gets worse."""

    performance: Literal["r2", "accuracy"]
    below: Number | None = Field(None, description="Smallest allowed value.")


class ClassMetric(PerformanceRule):
    """Metrics of one class of a classifier that fall as the model gets worse."""

    performance: Literal["precision", "recall", "f1"]
    below: Share | None = Field(None, description="Smallest allowed value.")
    positive: Label | None = Field(None, description="The positive class. Default: the mean over all classes.")


class ProbabilityScore(PerformanceRule):
    """How well the scores of a classifier separate its classes."""

    performance: Literal["roc_auc", "average_precision"]
    below: Share | None = Field(None, description="Smallest allowed value.")
    positive: Label | None = Field(
        None, description="The positive class. Default: the second of two classes, or the mean over more classes."
    )


class ProbabilityError(PerformanceRule):
    """How far the scores of a classifier are from the ground truth."""

    performance: Literal["log_loss", "brier", "calibration_error"]
    above: Size | None = Field(None, description="Largest allowed value.")
    positive: Label | None = Field(None, description="The positive class. Default: see the metric.")


class QuantileLoss(PerformanceRule):
    """Pinball loss of a model that predicts a quantile."""

    relative = False

    performance: Literal["quantile_loss"]
    above: Size | None = Field(None, description="Largest allowed value, in the unit of the prediction.")
    quantile: Share = Field(
        0.5, json_schema_extra={"default": "50%"}, description="The quantile that the model predicts."
    )


class Ranking(PerformanceRule):
    """The quality of rankings: normalised discounted cumulative gain."""

    relative = False

    performance: Literal["ndcg"]
    below: Share | None = Field(None, description="Smallest allowed value.")
    query: Text = Field(description="The feature that groups the predictions into rankings.")
    k: Count | None = Field(None, description="Number of predictions of each ranking that count. Default: all.")


class BusinessValue(PerformanceRule):
    """The mean business value of a prediction."""

    relative = False

    performance: Literal["business_value"]
    below: Number | None = Field(None, description="Smallest allowed value, in the unit of `values`.")
    values: Annotated[Mapping[Label, Mapping[Label, Number]], Field(min_length=1)] = Field(
        description="Value of a prediction: true class → predicted class → value. Missing pairs have the value 0."
    )


class CustomMetric(PerformanceRule):
    """Any metric that DuckDB can compute from the rows with ground truth."""

    relative = False

    performance: Literal["sql"]
    expression: Text = Field(
        description='An SQL aggregate over the rows: features by name, and prediction, ground_truth, "score <class>"; '
        "for example avg(abs(prediction - ground_truth) * weight)."
    )
    above: Number | None = Field(None, description="Largest allowed value.")
    below: Number | None = Field(None, description="Smallest allowed value.")

    @property
    def limit(self) -> Limit:
        """The key that is set."""
        return "below" if self.below is not None else "above"

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.above is not None and self.below is not None:
            raise problem("both above and below; write two rules", "below")
        return self


PerformanceModel = (
    ErrorMetric
    | ScoreMetric
    | ClassMetric
    | ProbabilityScore
    | ProbabilityError
    | QuantileLoss
    | Ranking
    | BusinessValue
    | CustomMetric
)
