"""The format of rule files: parse text into frozen values. Rules are evaluated elsewhere."""

from otel_mlmon.rulefile.baseline import Baseline
from otel_mlmon.rulefile.checks import KINDS, Rule
from otel_mlmon.rulefile.drift_rules import (
    DRIFT_THRESHOLDS,
    DriftRule,
    FeatureSetDrift,
    GradualDrift,
    MultivariateDrift,
)
from otel_mlmon.rulefile.group import Group
from otel_mlmon.rulefile.integrity_rules import (
    DefaultValue,
    Duplicates,
    Expression,
    Format,
    Freshness,
    IntegrityRule,
    Latency,
    Missing,
    OutOfRange,
    Schema,
    Stuck,
    TypeMismatch,
    Volume,
)
from otel_mlmon.rulefile.load import load, parse_text
from otel_mlmon.rulefile.outcome_rules import BudgetRule, EstimateRule, FairnessRule, ParityRule, SliceRule
from otel_mlmon.rulefile.patterns import chosen
from otel_mlmon.rulefile.performance_rules import (
    BusinessValue,
    ClassMetric,
    CustomMetric,
    ErrorMetric,
    GroundTruthRule,
    PerformanceRule,
    ProbabilityError,
    ProbabilityScore,
    QuantileLoss,
    Ranking,
    ScoreMetric,
)
from otel_mlmon.rulefile.quantities import format_duration, parse_duration
from otel_mlmon.rulefile.rule import Family, FieldRule, RuleBase
from otel_mlmon.rulefile.schema import schema, schema_text
from otel_mlmon.rulefile.templates import render
