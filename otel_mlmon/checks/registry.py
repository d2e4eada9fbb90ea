"""The checks by name. A new one is a function in a module beside this, a model in `rulefile` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from otel_mlmon.checks.budget import budget
from otel_mlmon.checks.case import FieldCase
from otel_mlmon.checks.drift import drift
from otel_mlmon.checks.estimate import estimate
from otel_mlmon.checks.expression import expression
from otel_mlmon.checks.fairness import fairness
from otel_mlmon.checks.feature_set import weighted_drift
from otel_mlmon.checks.integrity import missing, type_mismatch, written_otherwise
from otel_mlmon.checks.model_case import ModelCase
from otel_mlmon.checks.multivariate import reconstruction_error
from otel_mlmon.checks.outcome_case import OutcomeCase
from otel_mlmon.checks.parity import parity
from otel_mlmon.checks.schema import schema_change
from otel_mlmon.checks.single_values import default_value, stuck
from otel_mlmon.checks.slices import slices
from otel_mlmon.checks.traffic import duplicates, freshness, latency, volume
from otel_mlmon.checks.value_range import out_of_range
from otel_mlmon.stats.drift.methods import DRIFT_METHODS
from otel_mlmon.values import CheckResult

FIELD_CHECKS: Final[Mapping[str, Callable[[Any, FieldCase], CheckResult]]] = {
    "missing": missing,
    "type": type_mismatch,
    "range": out_of_range,
    "default_value": default_value,
    "stuck": stuck,
    "format": written_otherwise,
    **dict.fromkeys(DRIFT_METHODS, drift),
}

MODEL_CHECKS: Final[Mapping[str, Callable[[Any, ModelCase], CheckResult]]] = {
    "schema": schema_change,
    "volume": volume,
    "freshness": freshness,
    "latency": latency,
    "duplicates": duplicates,
    "expression": expression,
    "weighted": weighted_drift,
    "reconstruction_error": reconstruction_error,
}

# By family: its methods are one check.
FAMILY_CHECKS: Final[Mapping[str, Callable[[Any, ModelCase], CheckResult]]] = {
    "estimate": estimate,
    "parity": parity,
}

# By family: on the newest window of which enough ground truth is known.
OUTCOME_CHECKS: Final[Mapping[str, Callable[[Any, OutcomeCase], CheckResult]]] = {
    "fairness": fairness,
    "slices": slices,
    "budget": budget,
}
