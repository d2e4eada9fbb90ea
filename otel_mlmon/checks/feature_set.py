"""Drift of all that the model uses, weighed by how much it uses it."""

from __future__ import annotations

from otel_mlmon.checks.context import Limit, ModelView, compare, no_data, too_few_predictions
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
    distances: dict[str, float] = {}
    weights: dict[str, float] = {}
    p_values = []
    for name, known in reference.fields.items():
        unordered = known.kind == "categorical" and rule.method_of in NEEDS_ORDERED_BINS
        if output_name(name) is not None or not chosen(name, rule.features) or unordered:
            continue
        field = view.context.field(name, view.segment)
        if field.expected is None:
            continue
        effect = DRIFT_METHODS[rule.method_of](distribution(field, field.expected), distribution(field, field.profile))
        weight = reference.importances.get(name, 0.0 if reference.importances else 1.0)
        if effect.value == effect.value and weight > 0:
            distances[name], weights[name] = effect.value, weight
            p_values.append(effect.p_value)
    total = sum(weights.values())
    if not total:
        return no_data("no_values", "no feature with an importance has values in this window", rows=view.n)
    parts = {name: weights[name] / total * value**3 for name, value in distances.items()}
    order = sorted(parts, key=lambda name: -parts[name])
    return compare(
        sum(parts.values()) ** (1 / 3),
        Limit(rule.above, rule.critical),
        min(1.0, min(p_values) * len(p_values)),
        rows=view.n,
        reference_rows=reference.rows,
        message="mostly " + ", ".join(f"{name} ({distances[name]:.2g})" for name in order[:3]),
        finding="shift",
        evidence=lambda: FieldEvidence(tuple(Line(n, weights[n] / total, distances[n]) for n in order[:12])),
    )
