"""The format of rule files: text to frozen values. What rules do is not known here."""

from otel_mlmon.rulefile.checks import (
    KINDS,
    ClassMetric,
    DefaultValue,
    DriftRule,
    ErrorMetric,
    IntegrityRule,
    Missing,
    OutOfRange,
    PerformanceRule,
    Rule,
    ScoreMetric,
    TypeMismatch,
)
from otel_mlmon.rulefile.group import Group, RuleFile
from otel_mlmon.rulefile.load import load, parse_text
from otel_mlmon.rulefile.quantities import format_duration, parse_duration
from otel_mlmon.rulefile.rule import Family, FieldRule
from otel_mlmon.rulefile.schema import schema, schema_text
from otel_mlmon.rulefile.templates import render

__all__ = [
    "KINDS",
    "ClassMetric",
    "DefaultValue",
    "DriftRule",
    "ErrorMetric",
    "Family",
    "FieldRule",
    "Group",
    "IntegrityRule",
    "Missing",
    "OutOfRange",
    "PerformanceRule",
    "Rule",
    "RuleFile",
    "ScoreMetric",
    "TypeMismatch",
    "format_duration",
    "load",
    "parse_duration",
    "parse_text",
    "render",
    "schema",
    "schema_text",
]
