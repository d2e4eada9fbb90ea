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
from otel_mlmon.rulefile.group import Group, RuleFile
from otel_mlmon.rulefile.integrity_rules import (
    DefaultValue,
    Duplicates,
    Expression,
    Format,
    Freshness,
    IntegrityRule,
    Latency,
    Missing,
    ModelIntegrityRule,
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

__all__ = [
    "DRIFT_THRESHOLDS",
    "KINDS",
    "Baseline",
    "BudgetRule",
    "BusinessValue",
    "ClassMetric",
    "CustomMetric",
    "DefaultValue",
    "DriftRule",
    "Duplicates",
    "ErrorMetric",
    "EstimateRule",
    "Expression",
    "FairnessRule",
    "Family",
    "FeatureSetDrift",
    "FieldRule",
    "Format",
    "Freshness",
    "GradualDrift",
    "GroundTruthRule",
    "Group",
    "IntegrityRule",
    "Latency",
    "Missing",
    "ModelIntegrityRule",
    "MultivariateDrift",
    "OutOfRange",
    "ParityRule",
    "PerformanceRule",
    "ProbabilityError",
    "ProbabilityScore",
    "QuantileLoss",
    "Ranking",
    "Rule",
    "RuleBase",
    "RuleFile",
    "Schema",
    "ScoreMetric",
    "SliceRule",
    "Stuck",
    "TypeMismatch",
    "Volume",
    "chosen",
    "format_duration",
    "load",
    "parse_duration",
    "parse_text",
    "render",
    "schema",
    "schema_text",
]
