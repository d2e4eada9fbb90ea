"""Infer a first rule file from a reference: groups of rules, with the reference's figures as comments."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from otel_mlmon.checks.evidence import shown
from otel_mlmon.rulefile import format_duration
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values import FieldProfile, FieldReference, Reference

_HOUR: Final = 3_600_000_000_000
_WIDTH: Final = 118
_SPARSE: Final = 0.5  # a field with a smaller share of rows in known categories is a name or an id
_MANY_CATEGORIES: Final = 200
_CRITICAL: Final = "labels: {severity: critical}"
_LIMIT: Final = "critical: 5%"


def infer(
    reference: Reference, *, window: int = _HOUR, interval: int | None = None, false_alarms: str = "1 per quarter"
) -> str:
    """Return the rule file as YAML text.

    `window` and `interval` are in ns (default interval: a twelfth of the window). `false_alarms`: the budget of the
    whole model, which the groups share evenly; thresholds follow from it.
    """
    ids = [f.name for f in reference.fields.values() if _is_id(f)]
    features = {n: f for n, f in reference.fields.items() if output_name(n) is None and n not in ids}
    outputs = [n for n in reference.fields if output_name(n) is not None]
    segments = sorted({segment.partition("=")[0] for segment in reference.segments})
    counts = reference.performance
    judged = counts is not None and bool(counts.numeric or counts.confusion)
    parts = ["data", "drift", *(["performance"] if judged else [])]
    head = [
        f"# Rules for {reference.model}, inferred from the reference {reference.name!r} of {reference.rows:,} rows",
        f"# ({reference.source}). Limits follow from that reference, the number of rows in a window and the accepted",
        f"# rate of false alarms: {false_alarms} for the whole model, shared by {len(parts)} groups.",
        "# Edit this file: raise a limit with `above`, leave features out with `features`, add your knowledge with",
        "# `range` or `expression`.",
        "groups:",
    ]
    budget = _share(false_alarms, len(parts))
    step = format_duration(interval or window // 12)

    def group(name: str, severity: str, rules: Iterable[str]) -> list[str]:
        lines = [
            f"  - name: {_yaml(f'{reference.model}-{name}')}",
            f"    model: {_yaml(reference.model)}",
            f"    window: {format_duration(window)}",
            f"    interval: {step}",
            *([f"    reference: {_yaml(reference.name)}"] if reference.name != "training" else []),
            f"    false_alarms: {budget}",
            f"    labels: {{severity: {severity}}}",
            *([f"    segments: [{', '.join(map(_yaml, segments))}]"] if segments and name == "performance" else []),
            "    rules:",
        ]
        return [*lines, *rules]

    text = [*head, *group("data", "warning", _data(features, ids, outputs))]
    text += ["", *group("drift", "warning", _drift(ids, outputs))]
    if judged:
        text += ["", *group("performance", "critical", _performance(reference))]
    return "\n".join(text) + "\n"


def _data(features: dict[str, FieldReference], ids: list[str], outputs: list[str]) -> list[str]:
    every = _but(ids)
    missing = [f"{n} {_gone(f.profile):.1%}" for n, f in features.items() if _gone(f.profile)]
    single = [_constant(n, f) for n, f in features.items() if _stands_out(f)]
    absent = "{{ feature }} is missing in {{ value | percent }} of the predictions"
    wrong_type = "{{ feature }} has another type in {{ value | percent }} of the predictions"
    rewritten = "{{ feature }} is written in another way: {{ finding }}"
    changed = "One value of {{ feature }} has changed its share by {{ value | percent }}"
    beyond = "{{ feature }} has values as never before in {{ value | percent }} of the predictions: {{ finding }}"
    lines = [
        *_comment("Features", [f"{n} ({f.type})" for n, f in features.items()]),
        *_rule("SchemaChanged", "integrity: schema", _CRITICAL, summary="The features of {{ model }} have changed"),
        "",
        *_comment("Sometimes without a value", missing, "all have a value in every row"),
        *_rule("FeatureMissing", "integrity: missing", _LIMIT, summary=absent),
        "",
        *_rule("FeatureType", "integrity: type", _LIMIT, summary=wrong_type),
        "",
        *_rule("FeatureStuck", "integrity: stuck", *every, summary="{{ feature }} has one value only"),
        "",
        *_rule("FeatureFormat", "integrity: format", *every, summary=rewritten),
        "",
        *_comment("Single values that stand out", single, "no single value stands out"),
        *_rule("DefaultValueChanged", "integrity: default_value", _LIMIT, *every, summary=changed),
        "",
        *_comment("Ranges", [_range(n, f) for n, f in features.items() if f.edges]),
        *_comment("Categories", [_categories(n, f) for n, f in features.items() if f.kind == "categorical"]),
        *_rule("FeatureOutOfRange", "integrity: range", _LIMIT, *every, summary=beyond),
    ]
    if "prediction" in {output_name(n) for n in outputs}:
        keys = ("integrity: missing", "outputs: [prediction]", _CRITICAL)
        no_answer = "{{ model }} gives no prediction in {{ value | percent }} of the calls"
        lines += ["", *_rule("PredictionMissing", *keys, summary=no_answer)]
    return lines


def _drift(ids: list[str], outputs: list[str]) -> list[str]:
    drifted = "{{ feature }} has drifted: distance {{ value }}"
    keys = ("drift: kolmogorov_smirnov", "kind: continuous", *_but(ids))
    lines = _rule("FeatureDrift", *keys, summary=drifted)
    keys = ("drift: jensen_shannon", "kind: discrete", *_but(ids))
    lines += ["", *_rule("CategoryDrift", *keys, summary=drifted)]
    if outputs:
        names = sorted({(output_name(n) or "").partition(" ")[0] for n in outputs})
        keys = ("drift: jensen_shannon", f"outputs: [{', '.join(names)}]")
        moved = "The predictions of {{ model }} have drifted: distance {{ value }}"
        lines += ["", *_rule("PredictionDrift", *keys, summary=moved)]
    return lines


def _performance(reference: Reference) -> list[str]:
    counts = reference.performance
    assert counts is not None
    if counts.confusion and not counts.numeric:
        return _rule("AccuracyFell", "performance: accuracy", summary="{{ value }} of {{ rows }} are right")
    n = max(counts.numeric, 1)
    squared = counts.sum_squared_error / n
    grew = "The root mean squared error is {{ value }}, expected is at most {{ threshold }}"
    lines = [
        f"      # Mean error of the reference: {counts.sum_error / n:.4g}, root mean squared {squared**0.5:.4g}.",
        *_rule("PredictionsBiased", "performance: bias", summary="Predictions are off by {{ value }} on average"),
        "",
        *_rule("ErrorGrew", "performance: rmse", summary=grew),
    ]
    if reference.estimators is None or "rmse" not in reference.estimators.metrics:
        return lines
    weak = "In some parts of the predictions errors are {{ value | percent }} larger than expected"
    later = "A root mean squared error of {{ value }} is to be expected, beyond {{ threshold }}"
    lines += ["", *_rule("WeakSpots  # segments that nobody has named", "slices: rmse", summary=weak)]
    return [*lines, "", *_rule("ErrorWillGrow  # before the ground truth is known", "estimate: rmse", summary=later)]


def _rule(alert: str, *keys: str, summary: str) -> list[str]:
    """Write a rule; `keys` are its other lines."""
    lines = [f"- alert: {alert}", *(f"  {key}" for key in keys), "  annotations:", f'    summary: "{summary}"']
    return [f"      {line}" for line in lines]


def _is_id(field: FieldReference) -> bool:
    in_categories = 0 if field.profile.categories is None else int(field.profile.categories.sum())
    return (
        field.kind == "categorical"
        and len(field.categories) >= _MANY_CATEGORIES
        and in_categories < _SPARSE * max(field.profile.rows, 1)
    )


def _gone(profile: FieldProfile) -> float:
    return (profile.absent + profile.null + profile.nan + profile.empty) / max(profile.rows, 1)


def _stands_out(field: FieldReference) -> bool:
    return field.kind == "numeric" and len(field.edges) > 21 and max(field.constants.values(), default=0.0) >= 0.02


def _constant(name: str, field: FieldReference) -> str:
    value = max(field.constants, key=lambda v: field.constants[v])
    return f"{name} is {shown(value)} in {field.constants[value]:.1%}"


def _range(name: str, field: FieldReference) -> str:
    return f"{name} {field.edges[0]:.6g} to {field.edges[-1]:.6g}"


def _categories(name: str, field: FieldReference) -> str:
    listed = ", ".join(field.categories[:6])
    return f"{name}: {listed}" + (f" and {len(field.categories) - 6} more" if len(field.categories) > 6 else "")


def _but(ids: list[str]) -> list[str]:
    """Choose the features except names and ids, which have other values in every row."""
    if not ids:
        return []
    return [f'features: ["*", {", ".join(json.dumps("!" + name) for name in ids)}]']


def _comment(title: str, items: list[str], without: str = "") -> list[str]:
    """Write a comment over several lines; without items, the text `without`, or nothing."""
    if not items:
        return [f"      # {title}: {without}."] if without else []
    lines, line = [], f"      # {title}: "
    for index, item in enumerate(items):
        piece = item + (", " if index < len(items) - 1 else ".")
        if len(line) + len(piece) > _WIDTH:
            lines.append(line.rstrip())
            line = "      #   "
        line += piece
    return [*lines, line.rstrip()]


def _share(false_alarms: str, groups: int) -> str:
    """Return the budget of each group: for three groups, "1 per quarter" becomes "1 per 3 quarters"."""
    count, _, period = false_alarms.partition(" per ")
    number, _, unit = period.rpartition(" ")
    return f"{count} per {int(number or 1) * groups} {unit.rstrip('s')}s"


def _yaml(name: str) -> str:
    plain = name.replace("-", "").replace("_", "").isalnum() and not name[0].isdigit()
    return name if plain and name.lower() not in ("true", "false", "null") else json.dumps(name)
