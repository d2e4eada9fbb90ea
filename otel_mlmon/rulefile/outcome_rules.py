"""Rules around performance: before the ground truth, between segments, in parts, over weeks, and against another model."""

from __future__ import annotations

from typing import ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from otel_mlmon.rulefile.patterns import Globs, Label
from otel_mlmon.rulefile.performance_rules import GroundTruthRule
from otel_mlmon.rulefile.quantities import SECOND, Count, Margin, PositiveDuration, Share, Size
from otel_mlmon.rulefile.rule import Family, RuleBase, problem

_DAY: Final = 86_400 * SECOND


class EstimateRule(RuleBase):
    """Performance before the ground truth is known: estimated from what the reference knew of the model's errors."""

    family: ClassVar[Family] = "estimate"

    estimate: Literal["rmse", "mae", "accuracy", "roc_auc", "precision", "recall", "f1"] = Field(
        description="The metric: rmse and mae by direct loss estimation, the others by confidence-based estimation."
    )
    worse_than_reference: Margin = Field(
        0.1,
        json_schema_extra={"default": "10%"},
        description="How much worse than the reference is still fine, relative to the reference.",
    )
    positive: Label | None = Field(None, description="The class in question, for precision, recall and f1.")
    min_rows: Count = Field(200, description="With fewer rows the verdict is no_data.")


class FairnessRule(GroundTruthRule):
    """The largest difference of a metric between two values of a segment key."""

    family: ClassVar[Family] = "fairness"

    fairness: Literal["rmse", "mae", "bias", "mape", "wape", "accuracy", "precision", "recall", "f1"]
    above: Size = Field(
        description="Largest difference that is fine: of accuracy, precision, recall and f1 as it is, of an error relative "
        "to that of the whole."
    )
    positive: Label | None = Field(None, description="The class in question. Default: the mean over all classes.")
    min_segment: Count = Field(50, description="Segments with less ground truth are left out.")

    @model_validator(mode="after")
    def _needs_segments(self) -> Self:
        if "segments" in self.model_fields_set and not self.segments:
            raise problem("no segments; a difference between segments needs a key", "segments")
        return self


class SliceRule(GroundTruthRule):
    """Parts of the predictions that nobody has named in which the model does worse than it did there."""

    family: ClassVar[Family] = "slices"

    slices: Literal["rmse", "mae", "accuracy"] = Field(description="What is worse in them.")
    features: Globs = Field(("*",), min_length=1, description="Globs of the features that may name a slice.")
    worse_than_reference: Margin = Field(
        0.15,
        json_schema_extra={"default": "15%"},
        description="How much worse than expected of its rows a slice must be.",
    )
    min_slice: Count = Field(50, description="Slices with less ground truth are not looked at.")


class BudgetRule(GroundTruthRule):
    """An objective over weeks, and how fast its error budget burns."""

    family: ClassVar[Family] = "budget"

    budget: Literal["rmse", "mae", "accuracy", "integrity"] = Field(
        description="What there is an objective for; integrity: predictions with a field that is missing, of another type or "
        "out of its range."
    )
    worse_than_reference: Margin | None = Field(
        None, description="The objective: how much worse than the reference it may be over the whole time."
    )
    at_most: Share | None = Field(
        None, description="The objective of accuracy and integrity: the largest share of wrong, or broken, predictions."
    )
    above: Size | None = Field(
        None, description="The objective of rmse and mae: the largest value over the whole time."
    )
    over: PositiveDuration = Field(
        28 * _DAY, json_schema_extra={"default": "28d"}, description="The time that the objective is for."
    )

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        own = "above" if self.budget in ("rmse", "mae") else "at_most"
        other = "at_most" if own == "above" else "above"
        if getattr(self, other) is not None:
            raise problem(f"{other} does not go with {self.budget}; use {own}", other)
        given = [name for name in (own, "worse_than_reference") if getattr(self, name) is not None]
        if self.budget == "integrity" and self.worse_than_reference is not None:
            raise problem("an integrity objective is a share of all predictions; use at_most", "worse_than_reference")
        if len(given) == 2:
            raise problem(f"both {own} and worse_than_reference; write two rules", "worse_than_reference")
        if not given:
            raise problem(
                f"no objective; add {own}" + ("" if self.budget == "integrity" else " or worse_than_reference")
            )
        return self


class ParityRule(RuleBase):
    """Whether the model in production is the intended one: its predictions against those of a shadow, on the same inputs."""

    family: ClassVar[Family] = "parity"

    parity: Literal["rate", "size"] = Field(
        description="rate: the share of predictions that differ by more than the tolerance; size: the mean difference, "
        "relative to the spread of the shadow's predictions."
    )
    tolerance: Size = Field(
        1e-6, description="Differences up to this, relative to the larger of the two predictions, are none (rate)."
    )
    above: Share = Field(0.01, json_schema_extra={"default": "1%"}, description="Largest rate, or size, that is fine.")
    min_rows: Count = Field(5, description="With fewer predictions of the shadow the verdict is no_data.")
