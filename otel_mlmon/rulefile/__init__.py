"""The format of rule files: text to frozen values. What rules do is not known here."""

from otel_mlmon.rulefile.baseline import Baseline
from otel_mlmon.rulefile.checks import KINDS, ClassMetric, ErrorMetric, PerformanceRule, Rule, ScoreMetric
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
from otel_mlmon.rulefile.patterns import chosen
from otel_mlmon.rulefile.quantities import format_duration, parse_duration
from otel_mlmon.rulefile.rule import Family, FieldRule, RuleBase
from otel_mlmon.rulefile.schema import schema, schema_text
from otel_mlmon.rulefile.templates import render

__all__ = [
    "DRIFT_THRESHOLDS",
    "KINDS",
    "Baseline",
    "ClassMetric",
    "DefaultValue",
    "DriftRule",
    "Duplicates",
    "ErrorMetric",
    "Expression",
    "Family",
    "FeatureSetDrift",
    "FieldRule",
    "Format",
    "Freshness",
    "GradualDrift",
    "Group",
    "IntegrityRule",
    "Latency",
    "Missing",
    "ModelIntegrityRule",
    "MultivariateDrift",
    "OutOfRange",
    "PerformanceRule",
    "Rule",
    "RuleBase",
    "RuleFile",
    "Schema",
    "ScoreMetric",
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
