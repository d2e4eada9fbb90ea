"""A change of a field's values in words: another unit, another sign, another field's values, or a shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_mlmon.checks.context import FieldView
from otel_mlmon.stats.drift.mixture import FACTORS, Density, Explanation, explain_values
from otel_mlmon.values import FieldProfile

_READ: Final = 5_000  # values are enough to tell
WORTH_A_LOOK: Final = 0.02  # p-value from which the rows are read for the best explanation
TRANSFORMED: Final = frozenset({"unit", "sign"})  # findings that are causes, from any check


@dataclass(frozen=True, slots=True)
class Found:
    """`finding` is a word, `message` a sentence with the figures."""

    finding: str
    message: str
    other: str = ""
    share: float = 1.0  # of the values


def explain(field: FieldView) -> Found | None:
    """The best explanation of the window's numbers; None when nothing explains them better than the reference does."""
    reference, expected = field.reference, field.expected
    if reference is None or expected is None or expected.bins is None or not reference.edges:
        return None
    values = field.numbers()
    if len(values) > _READ:
        values = values[np.linspace(0, len(values) - 1, _READ).astype(np.int64)]
    others: dict[str, Density] = {}
    known = field.context.reference
    for name, other in known.fields.items() if known else ():
        if name != field.name and other.kind == "numeric" and other.edges and other.profile.bins is not None:
            others[name] = Density.of(other.edges, other.profile.bins[1:-1], whole=_whole(other.profile))
    zeros = reference.constants.get("0", 0.0) * expected.rows / max(expected.numbers, 1)
    explanation = explain_values(values, reference.edges, expected.bins, others, zeros=zeros, whole=_whole(expected))
    if explanation.kind == "none":
        return None
    return Found(explanation.kind, _sentence(explanation), explanation.other, explanation.share)


def _times(factor: float) -> str:
    return f"times {factor:.4g}" if factor >= 1 else f"divided by {1 / factor:.4g}"


def _whole(profile: FieldProfile) -> bool:
    return profile.formats.get("whole", 0) == profile.numbers > 0


def _sentence(explanation: Explanation) -> str:
    share = f"{explanation.share:.1%} of the values"
    if explanation.kind == "unit":
        scale = _times(explanation.factor)
        if explanation.offset:
            scale += f" {explanation.offset:+.4g}"
        elif explanation.factors:
            scale += f" (or {', '.join(map(_times, explanation.factors))})"
        known = (
            "" if explanation.factor in FACTORS or 1 / explanation.factor in FACTORS else " (Celsius and Fahrenheit?)"
        )
        return f"{share} are the usual ones {scale}: another unit{known}"
    if explanation.kind == "sign":
        return f"{share} are the usual ones with the sign flipped"
    if explanation.kind == "swap":
        return f"{share} look like those of {explanation.other}: have two columns been swapped?"
    if explanation.kind == "outliers":
        return "some values are like none seen before"
    return (
        f"all values have moved by {explanation.offset:+.4g}"
        if explanation.offset
        else "the distribution has changed as a whole"
    )
