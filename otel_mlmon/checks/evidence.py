"""Evidence of a breach of a field: its distributions and numbers."""

from __future__ import annotations

import json

from otel_mlmon.checks.context import FieldView
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.values import FieldProfile
from otel_mlmon.values.evidence import Distribution, FieldEvidence, Line


def of_field(field: FieldView) -> FieldEvidence:
    """Return reference and window side by side."""
    return FieldEvidence(_numbers(field.expected, field.profile), _distribution(field))


def _distribution(field: FieldView) -> Distribution | None:
    reference, expected, profile = field.reference, field.expected, field.profile
    if reference is None or expected is None:
        return None
    if reference.kind == "numeric" and expected.bins is not None and profile.bins is not None:
        then, now = _shares(expected.bins.tolist()), _shares(profile.bins.tolist())
        return Distribution("numeric", labels=(), edges=tuple(reference.edges), reference=then, window=now)
    if expected.categories is None or profile.categories is None:
        return None
    known = list(reference.categories)
    before, after = expected.categories.tolist(), profile.categories.tolist()
    rest_before = expected.types.get("string", 0) + expected.types.get("bool", 0) - sum(before)
    rest_after = profile.types.get("string", 0) + profile.types.get("bool", 0) - sum(after) - sum(profile.new.values())
    return Distribution(
        "categorical",
        labels=(*known, *profile.new, "(other)"),
        edges=None,
        reference=_shares([*before, *([0] * len(profile.new)), rest_before]),
        window=_shares([*after, *profile.new.values(), rest_after]),
    )


def _shares(counts: list[int]) -> tuple[float, ...]:
    total = sum(counts)
    return tuple(count / total if total else 0.0 for count in counts)


def _numbers(expected: FieldProfile | None, profile: FieldProfile) -> tuple[Line, ...]:
    rows = [Line("rows", expected.rows if expected else None, profile.rows)]
    for name in ("absent", "null", "nan", "infinite", "empty"):
        then, now = getattr(expected, name, 0), getattr(profile, name)
        if then or now:
            rows.append(Line(name, then, now))
    for type_ in sorted({*profile.types, *(expected.types if expected else ())}):
        before = expected.types.get(type_, 0) if expected else None
        rows.append(Line(f"type {type_}", before, profile.types.get(type_, 0)))
    if profile.numbers or (expected and expected.numbers):
        both = (expected, profile)
        rows.append(Line("mean", *(mean(p.sum, p.numbers) if p else None for p in both)))
        deviations = (standard_deviation(p.sum, p.sum_squares, p.numbers) if p else None for p in both)
        rows.append(Line("standard deviation", *deviations))
        rows.append(Line("minimum", expected.minimum if expected else None, profile.minimum))
        rows.append(Line("maximum", expected.maximum if expected else None, profile.maximum))
    return tuple(rows)


def shown(json_value: str) -> str:
    """A single value as people write it."""
    try:
        value = json.loads(json_value)
    except ValueError:
        return json_value
    return json_value if not isinstance(value, str) else repr(value)
