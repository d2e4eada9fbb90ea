"""Rules around performance: estimates, fairness between segments, slices, error budgets, parity with another model."""

from __future__ import annotations

from typing import ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from otel_mlmon.rulefile.patterns import Globs, Label
from otel_mlmon.rulefile.performance_rules import GroundTruthRule
from otel_mlmon.rulefile.quantities import SECOND, Count, Margin, PositiveDuration, Share, Size
from otel_mlmon.rulefile.rule import Family, RuleBase, problem

_DAY: Final = 86_400 * SECOND


class EstimateRule(RuleBase):
    """Performance before the ground truth is known, estimated from the model's errors in the reference."""

    family: ClassVar[Family] = "estimate"

    estimate: Literal["rmse", "mae", "accuracy", "roc_auc", "precision", "recall", "f1"] = Field(
        description="The metric: rmse and mae by direct loss estimation, the others by confidence-based estimation."
    )
    worse_than_reference: Margin = Field(
        0.1,
        json_schema_extra={"default": "10%"},
        description="Largest allowed degradation against the reference, relative to the reference.",
    )
    positive: Label | None = Field(None, description="The positive class, for precision, recall and f1.")
    min_rows: Count = Field(200, description="With fewer rows the verdict is no_data.")


class FairnessRule(GroundTruthRule):
    """The largest difference of a metric between two values of a segment key."""

    family: ClassVar[Family] = "fairness"

    fairness: Literal["rmse", "mae", "bias", "mape", "wape", "accuracy", "precision", "recall", "f1"]
    above: Size = Field(
        description="Largest allowed difference: absolute for accuracy, precision, recall and f1; for an error, "
        "relative to the whole's error."
    )
    positive: Label | None = Field(None, description="The positive class. Default: the mean over all classes.")
    min_segment: Count = Field(50, description="Segments with less ground truth are left out.")

    @model_validator(mode="after")
    def _needs_segments(self) -> Self:
        if "segments" in self.model_fields_set and not self.segments:
            raise problem("no segments; a difference between segments needs a key", "segments")
        return self


class SliceRule(GroundTruthRule):
    """Find slices of the predictions in which the model does worse than in the same slices of the reference."""

    family: ClassVar[Family] = "slices"

    slices: Literal["rmse", "mae", "accuracy"] = Field(description="The metric that is worse in a slice.")
    features: Globs = Field(("*",), min_length=1, description="Globs of the features that may define a slice.")
    worse_than_reference: Margin = Field(
        0.15,
        json_schema_extra={"default": "15%"},
        description="A slice is reported if it is worse than expected by this much.",
    )
    min_slice: Count = Field(50, description="Slices with less ground truth are skipped.")


class BudgetRule(GroundTruthRule):
    """An objective over weeks, with an error budget and its burn rate."""

    family: ClassVar[Family] = "budget"

    budget: Literal["rmse", "mae", "accuracy", "integrity"] = Field(
        description="The metric of the objective; integrity: predictions with a field that is missing, of another type "
        "or out of its range."
    )
    worse_than_reference: Margin | None = Field(
        None, description="The objective: largest allowed degradation against the reference over the whole time."
    )
    at_most: Share | None = Field(
        None, description="The objective of accuracy and integrity: the largest share of wrong, or broken, predictions."
    )
    above: Size | None = Field(
        None, description="The objective of rmse and mae: the largest value over the whole time."
    )
    over: PositiveDuration = Field(
        28 * _DAY, json_schema_extra={"default": "28d"}, description="The period of the objective."
    )

    @model_validator(mode="after")
    def _one_objective(self) -> Self:
        own = "above" if self.budget in ("rmse", "mae") else "at_most"
        other = "at_most" if own == "above" else "above"
        if getattr(self, other) is not None:
            raise problem(f"{other} does not go with {self.budget}; use {own}", other)
        objectives = [name for name in (own, "worse_than_reference") if getattr(self, name) is not None]
        if self.budget == "integrity" and self.worse_than_reference is not None:
            raise problem("an integrity objective is a share of all predictions; use at_most", "worse_than_reference")
        if len(objectives) == 2:
            raise problem(f"both {own} and worse_than_reference; write two rules", "worse_than_reference")
        if not objectives:
            raise problem(
                f"no objective; add {own}" + ("" if self.budget == "integrity" else " or worse_than_reference")
            )
        return self


class ParityRule(RuleBase):
    """The model in production differs from the intended model: their predictions on the same inputs differ."""

    family: ClassVar[Family] = "parity"

    parity: Literal["rate", "size"] = Field(
        description="rate: the share of predictions that differ by more than the tolerance; size: the mean difference, "
        "relative to the spread of the shadow's predictions."
    )
    tolerance: Size = Field(
        1e-6, description="Largest difference that does not count (rate), relative to the larger of both predictions."
    )
    above: Share = Field(0.01, json_schema_extra={"default": "1%"}, description="Largest allowed rate, or size.")
    min_rows: Count = Field(5, description="With fewer predictions of the shadow the verdict is no_data.")


OutcomeModel = EstimateRule | FairnessRule | SliceRule | BudgetRule | ParityRule
