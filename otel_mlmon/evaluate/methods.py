"""The checks by name. A new one is a function in a module beside this, a model in `rulefile` and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from otel_mlmon.evaluate.case import FieldCase, Outcome
from otel_mlmon.evaluate.drift import drift
from otel_mlmon.evaluate.integrity import default_value, missing, out_of_range, type_mismatch

FieldCheck = Callable[[Any, FieldCase], Outcome]

FIELD_CHECKS: Final[Mapping[str, FieldCheck]] = {
    "missing": missing,
    "type": type_mismatch,
    "range": out_of_range,
    "default_value": default_value,
    "psi": drift,
    "kolmogorov_smirnov": drift,
    "jensen_shannon": drift,
    "chi_squared": drift,
}
