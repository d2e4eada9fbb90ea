"""What a person is shown beside a breach: distributions and numbers, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from otel_mlmon.checks.context import FieldView
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.values import FieldProfile


def of_field(field: FieldView) -> Mapping[str, Any]:
    """Reference and window side by side."""
    evidence: dict[str, Any] = {"numbers": _numbers(field.expected, field.profile)}
    distribution = _distribution(field)
    if distribution is not None:
        evidence["distribution"] = distribution
    return evidence


def _distribution(field: FieldView) -> dict[str, Any] | None:
    reference, expected, profile = field.reference, field.expected, field.profile
    if reference is None or expected is None:
        return None
    if reference.kind == "numeric" and expected.bins is not None and profile.bins is not None:
        return {
            "kind": "numeric",
            "labels": [],
            "edges": list(reference.edges),
            "reference": _shares(expected.bins.tolist()),
            "window": _shares(profile.bins.tolist()),
        }
    if expected.categories is None or profile.categories is None:
        return None
    known = list(reference.categories)
    then, now = expected.categories.tolist(), profile.categories.tolist()
    rest_then = expected.types.get("string", 0) + expected.types.get("bool", 0) - sum(then)
    rest_now = profile.types.get("string", 0) + profile.types.get("bool", 0) - sum(now) - sum(profile.new.values())
    return {
        "kind": "categorical",
        "labels": [*known, *profile.new, "(other)"],
        "edges": None,
        "reference": _shares([*then, *([0] * len(profile.new)), rest_then]),
        "window": _shares([*now, *profile.new.values(), rest_now]),
    }


def _shares(counts: list[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def _numbers(expected: FieldProfile | None, profile: FieldProfile) -> list[list[Any]]:
    rows: list[list[Any]] = [["rows", expected.rows if expected else None, profile.rows]]
    for name in ("absent", "null", "nan", "infinite", "empty"):
        then, now = getattr(expected, name, 0), getattr(profile, name)
        if then or now:
            rows.append([name, then, now])
    for type_ in sorted({*profile.types, *(expected.types if expected else ())}):
        rows.append([f"type {type_}", expected.types.get(type_, 0) if expected else None, profile.types.get(type_, 0)])
    if profile.numbers or (expected and expected.numbers):
        both = (expected, profile)
        rows.append(["mean", *(mean(p.sum, p.numbers) if p else None for p in both)])
        rows.append(
            ["standard deviation", *(standard_deviation(p.sum, p.sum_squares, p.numbers) if p else None for p in both)]
        )
        rows.append(["minimum", expected.minimum if expected else None, profile.minimum])
        rows.append(["maximum", expected.maximum if expected else None, profile.maximum])
    return rows


def shown(json_value: str) -> str:
    """A single value as people write it."""
    try:
        value = json.loads(json_value)
    except ValueError:
        return json_value
    return json_value if not isinstance(value, str) else repr(value)
