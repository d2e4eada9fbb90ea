"""Drift of all that the model uses, weighed by how much it uses it."""

from __future__ import annotations

from otel_mlmon.checks.context import ModelView, compare, no_data, too_few_predictions
from otel_mlmon.checks.drift import distribution
from otel_mlmon.rulefile import FeatureSetDrift, chosen
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.methods import DRIFT_METHODS, NEEDS_ORDERED_BINS
from otel_mlmon.values import CheckResult
from otel_mlmon.values.evidence import FieldEvidence, Line


def weighted_drift(rule: FeatureSetDrift, view: ModelView) -> CheckResult:
    """(sum of w d³)^(1/3) over features with distances d and importances w that add up to 1.

    A feature that the model relies on counts, many that it ignores do not. Without importances all weigh the same.
    """
    reference = view.reference
    if reference is None:
        return no_data("no_reference", "the model has no reference")
    if view.n < rule.min_rows:
        return too_few_predictions(view.n, rule.min_rows)
    found: dict[str, tuple[float, float, float]] = {}
    for name, field in reference.fields.items():
        if output_name(name) is not None or not chosen(name, rule.features):
            continue
        if field.kind == "categorical" and rule.method_of in NEEDS_ORDERED_BINS:
            continue
        one = view.context.field(name, view.segment)
        if one.expected is None:
            continue
        effect = DRIFT_METHODS[rule.method_of](distribution(one, one.expected), distribution(one, one.profile))
        weight = reference.importances.get(name, 0.0 if reference.importances else 1.0)
        if effect.value == effect.value and weight > 0:
            found[name] = (effect.value, weight, effect.p_value)
    total = sum(weight for _, weight, _ in found.values())
    if not total:
        return no_data("no_values", "no feature with an importance has values in this window", rows=view.n)
    parts = {name: weight / total * value**3 for name, (value, weight, _) in found.items()}
    order = sorted(parts, key=lambda name: -parts[name])
    return compare(
        sum(parts.values()) ** (1 / 3),
        rule.above,
        min(1.0, min(p for _, _, p in found.values()) * len(found)),
        rows=view.n,
        reference_rows=reference.rows,
        message="mostly " + ", ".join(f"{name} ({found[name][0]:.2g})" for name in order[:3]),
        finding="shift",
        critical=rule.critical,
        evidence=lambda: FieldEvidence(tuple(Line(n, found[n][1] / total, found[n][0]) for n in order[:12])),
    )
