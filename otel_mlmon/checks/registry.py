"""The checks by rule model. A new one is a rule model in `rulefile`, a function in a module here, a line below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from otel_mlmon import rulefile as rules
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


CHECKS: Final[Mapping[type[rules.RuleBase], Check]] = {
    rules.Missing: Check(integrity.missing, "field"),
    rules.TypeMismatch: Check(integrity.type_mismatch, "field"),
    rules.OutOfRange: Check(out_of_range, "field"),
    rules.DefaultValue: Check(default_value, "field"),
    rules.Stuck: Check(stuck, "field"),
    rules.Format: Check(integrity.changed_format, "field", applies=integrity.has_format),
    rules.Schema: Check(schema_change, "fields"),
    rules.Volume: Check(volume, "rows", by_segment=False),
    rules.Freshness: Check(freshness, "rows", by_segment=False),
    rules.Latency: Check(latency, "rows"),
    rules.Duplicates: Check(duplicates, "rows"),
    rules.Expression: Check(expression, "rows"),
    rules.DriftRule: Check(drift.drift, "field", applies=drift.applies),
    rules.GradualDrift: Check(gradual.gradual_drift, "field", applies=gradual.applies),
    rules.MultivariateDrift: Check(reconstruction_error, "rows", by_segment=False),
    rules.FeatureSetDrift: Check(weighted_drift, "fields"),
    rules.PerformanceRule: Check(performance, "ground truth"),
    rules.EstimateRule: Check(estimate, "rows"),
    rules.FairnessRule: Check(fairness, "ground truth", by_segment=False),
    rules.SliceRule: Check(slices, "ground truth", by_segment=False),
    rules.BudgetRule: Check(budget, "ground truth", by_segment=False),
    rules.ParityRule: Check(parity, "rows"),
}


def check_of(rule: rules.RuleBase) -> Check:
    """Return the check of a rule: that of its model, or of the nearest model that it extends."""
    return next(CHECKS[model] for model in type(rule).__mro__ if model in CHECKS)
