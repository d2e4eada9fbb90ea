"""The checks by rule model. A new one is a rule model in `rulefile`, a function in a module here, a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from otel_mlmon.checks import drift, gradual, integrity
from otel_mlmon.checks.budget import budget
from otel_mlmon.checks.estimate import estimate
from otel_mlmon.checks.fairness import fairness
from otel_mlmon.checks.feature_set import weighted_drift
from otel_mlmon.checks.multivariate import reconstruction_error
from otel_mlmon.checks.parity import parity
from otel_mlmon.checks.performance import performance
from otel_mlmon.checks.schema import schema_change
from otel_mlmon.checks.single_values import default_value, stuck
from otel_mlmon.checks.slices import slices
from otel_mlmon.checks.traffic import duplicates, expression, freshness, latency, volume
from otel_mlmon.checks.value_range import out_of_range
from otel_mlmon.rulefile import (
    BudgetRule,
    BusinessValue,
    ClassMetric,
    CustomMetric,
    DefaultValue,
    DriftRule,
    Duplicates,
    ErrorMetric,
    EstimateRule,
    Expression,
    FairnessRule,
    FeatureSetDrift,
    Format,
    Freshness,
    GradualDrift,
    Latency,
    Missing,
    MultivariateDrift,
    OutOfRange,
    ParityRule,
    ProbabilityError,
    ProbabilityScore,
    QuantileLoss,
    Ranking,
    RuleBase,
    Schema,
    ScoreMetric,
    SliceRule,
    Stuck,
    TypeMismatch,
    Volume,
)
from otel_mlmon.values import CheckResult, FieldReference

Needs = Literal["field", "fields", "rows", "ground truth"]


@dataclass(frozen=True, slots=True)
class Check:
    """How rules of one model are judged.

    - `function`: takes the rule and a `FieldView` where it needs one field, else a `ModelView`.
    - `needs`: one field, all fields, the predictions (their number, or the rows themselves), or the ground truth of the
      newest window that has enough of it.
    - `by_segment`: whether it judges each segment of the rule's keys beside the whole.
    - `applies`: whether the rule means anything for a field of the reference.
    """

    function: Callable[[Any, Any], CheckResult]
    needs: Needs
    by_segment: bool = True
    applies: Callable[[Any, FieldReference], bool] = lambda _rule, _reference: True


CHECKS: Final[Mapping[type[RuleBase], Check]] = {
    Missing: Check(integrity.missing, "field"),
    TypeMismatch: Check(integrity.type_mismatch, "field"),
    OutOfRange: Check(out_of_range, "field"),
    DefaultValue: Check(default_value, "field"),
    Stuck: Check(stuck, "field"),
    Format: Check(integrity.changed_format, "field", applies=integrity.has_format),
    Schema: Check(schema_change, "fields"),
    Volume: Check(volume, "rows", by_segment=False),
    Freshness: Check(freshness, "rows", by_segment=False),
    Latency: Check(latency, "rows"),
    Duplicates: Check(duplicates, "rows"),
    Expression: Check(expression, "rows"),
    DriftRule: Check(drift.drift, "field", applies=drift.applies),
    GradualDrift: Check(gradual.gradual_drift, "field", applies=gradual.applies),
    MultivariateDrift: Check(reconstruction_error, "rows", by_segment=False),
    FeatureSetDrift: Check(weighted_drift, "fields"),
    ErrorMetric: Check(performance, "ground truth"),
    ScoreMetric: Check(performance, "ground truth"),
    ClassMetric: Check(performance, "ground truth"),
    ProbabilityScore: Check(performance, "ground truth"),
    ProbabilityError: Check(performance, "ground truth"),
    QuantileLoss: Check(performance, "ground truth"),
    Ranking: Check(performance, "ground truth"),
    BusinessValue: Check(performance, "ground truth"),
    CustomMetric: Check(performance, "ground truth"),
    EstimateRule: Check(estimate, "rows"),
    FairnessRule: Check(fairness, "ground truth", by_segment=False),
    SliceRule: Check(slices, "ground truth", by_segment=False),
    BudgetRule: Check(budget, "ground truth", by_segment=False),
    ParityRule: Check(parity, "rows"),
}


def check_of(rule: RuleBase) -> Check:
    """Return the check of a rule."""
    return CHECKS[type(rule)]
