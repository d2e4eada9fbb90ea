"""Rules about performance: are the predictions as good as they were, once the ground truth is known?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from otel_mlmon.rulefile.patterns import Label, Text
from otel_mlmon.rulefile.quantities import Count, Margin, Number, Share, Size
from otel_mlmon.rulefile.rule import Family, RuleBase, problem

Limit = Literal["above", "below"]


class GroundTruthRule(RuleBase):
    """A rule that judges the newest window of which enough ground truth is known."""

    min_ground_truth: Count = Field(100, description="With fewer predictions whose ground truth is known: no_data.")
    min_coverage: Share = Field(
        0.5,
        json_schema_extra={"default": "50%"},
        description="With a smaller share of predictions whose ground truth is known: no_data.",
    )


class PerformanceRule(GroundTruthRule):
    """Whether the predictions are as good as they were, once the ground truth is known."""

    family: ClassVar[Family] = "performance"
    relative: ClassVar[bool] = True  # whether a reference has a value of the metric

    worse_than_reference: Margin | None = Field(
        None, description="How much worse than the reference is still fine, relative to the reference."
    )
    critical: Number | None = Field(
        None, description="Beyond this the alert's label severity is critical; in the unit of the limit that is given."
    )

    @property
    def limit(self) -> Limit:
        """Which of the two keys states a limit of the metric itself."""
        return "above" if "above" in type(self).model_fields else "below"

    @property
    def absolute(self) -> float | None:
        """The limit of the metric itself; None where it follows from the reference."""
        found: float | None = getattr(self, self.limit)
        return found

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        absolute = self.absolute is not None
        relative = self.worse_than_reference is not None
        if relative and not self.relative:
            raise problem(f"a reference has no {self.method}; use {self.limit}", "worse_than_reference")
        if absolute and relative:
            raise problem(f"both {self.limit} and worse_than_reference; write two rules", "worse_than_reference")
        if relative and self.method == "bias":
            raise problem("a good model's bias is about 0, and no percentage of that means much; use above",
                          "worse_than_reference")  # fmt: skip
        if not absolute and not relative and (self.false_alarms is None or not self.relative):
            either = (
                self.limit if self.method == "bias" or not self.relative else f"{self.limit} or worse_than_reference"
            )
            raise problem(f"no limit; add {either}")
        return self


class ErrorMetric(PerformanceRule):
    """Metrics that grow as a model gets worse."""

    performance: Literal["rmse", "mae", "bias", "mape", "wape"]
    above: Size | None = Field(None, description="Largest value that is fine, in the unit of the prediction.")


class ScoreMetric(PerformanceRule):
    """Metrics that fall as a model gets worse."""

    performance: Literal["r2", "accuracy"]
    below: Number | None = Field(None, description="Smallest value that is fine.")


class ClassMetric(PerformanceRule):
    """Metrics of one class of a classifier, which fall as it gets worse."""

    performance: Literal["precision", "recall", "f1"]
    below: Share | None = Field(None, description="Smallest value that is fine.")
    positive: Label | None = Field(None, description="The class in question. Default: the mean over all classes.")


class ProbabilityScore(PerformanceRule):
    """How well the scores of a classifier put its classes apart."""

    performance: Literal["roc_auc", "average_precision"]
    below: Share | None = Field(None, description="Smallest value that is fine.")
    positive: Label | None = Field(
        None, description="The class in question. Default: the last one of two, else the mean over all classes."
    )


class ProbabilityError(PerformanceRule):
    """How far the scores of a classifier are from what came true."""

    performance: Literal["log_loss", "brier", "calibration_error"]
    above: Size | None = Field(None, description="Largest value that is fine.")
    positive: Label | None = Field(None, description="The class in question. Default: as the metric's text says.")


class QuantileLoss(PerformanceRule):
    """Pinball loss of a model that predicts a quantile."""

    relative = False

    performance: Literal["quantile_loss"]
    above: Size | None = Field(None, description="Largest value that is fine, in the unit of the prediction.")
    quantile: Share = Field(0.5, json_schema_extra={"default": "50%"}, description="Which quantile the model predicts.")


class Ranking(PerformanceRule):
    """Whether what matters most stands first: normalised discounted cumulative gain."""

    relative = False

    performance: Literal["ndcg"]
    below: Share | None = Field(None, description="Smallest value that is fine.")
    query: Text = Field(description="The feature that says which predictions were ranked against each other.")
    k: Count | None = Field(None, description="How many of each ranking count. Default: all.")


class BusinessValue(PerformanceRule):
    """What a prediction is worth on average."""

    relative = False

    performance: Literal["business_value"]
    below: Number | None = Field(None, description="Smallest value that is fine, in the unit of `values`.")
    values: Annotated[Mapping[Label, Mapping[Label, Number]], Field(min_length=1)] = Field(
        description="What a prediction is worth: class that came true → class that was predicted → value. What is not "
        "there is worth 0."
    )


class CustomMetric(PerformanceRule):
    """Any figure that DuckDB can compute from the rows whose ground truth is known."""

    relative = False

    performance: Literal["sql"]
    expression: Text = Field(
        description='An SQL aggregate over the rows: features by name, and prediction, ground_truth, "score <class>"; for '
        "instance avg(abs(prediction - ground_truth) * weight)."
    )
    above: Number | None = Field(None, description="Largest value that is fine.")
    below: Number | None = Field(None, description="Smallest value that is fine.")

    @property
    def limit(self) -> Limit:
        """The one that is given."""
        return "below" if self.below is not None else "above"

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.above is not None and self.below is not None:
            raise problem("both above and below; write two rules", "below")
        return self
