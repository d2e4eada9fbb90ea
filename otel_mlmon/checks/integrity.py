"""Integrity of one field: the share of values that are missing, of another type or in another format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, Limit, compare, not_in_reference, percent, too_few_values
from otel_mlmon.checks.transformation import TRANSFORMED, explain
from otel_mlmon.rulefile import Format, IntegrityRule, Missing, TypeMismatch
from otel_mlmon.stats.inference.proportion import exceeds, fisher_greater
from otel_mlmon.values import CheckResult, FieldProfile, FieldReference

# Without a stated limit: how far a share may rise above the reference's, in fractions of all rows.
SHARE_MARGIN: Final = 0.005
_FITTING: Final[Mapping[str, frozenset[str]]] = {
    "float": frozenset({"int", "float"}),
    "int": frozenset({"int"}),
    "string": frozenset({"string"}),
    "bool": frozenset({"bool"}),
}
_GONE: Final = ("absent", "null", "nan", "empty")
# Formats whose share may not rise, with the finding when it does.
_NUMBER_FORMATS: Final = {"whole": "precision", "beyond_int53": "big_int", "beyond_int32": "big_int"}
_TEXT_FORMATS: Final = {
    "numeric_text": "numeric_text",
    "iso_date": "date_format",
    "other_date": "date_format",
    "not_ascii": "encoding",
    "mojibake": "encoding",
    "padded": "padding",
}


def missing(rule: Missing, field: FieldView) -> CheckResult:
    """Share of rows in which the field is absent, null, NaN or empty: each on its own against the reference."""
    profile, expected = field.profile, field.expected
    rows = profile.rows
    if rows < rule.min_rows:
        return too_few_values(rows, "rows", rule.min_rows)
    counts = {name: getattr(profile, name) for name in _GONE}
    message = (
        f"{percent(sum(counts.values()), rows)} of {rows} rows without a value "
        f"({', '.join(f'{name} {count}' for name, count in counts.items() if count or name != 'empty')})"
    )
    if rule.above is not None:
        return share(rule, field, sum(counts.values()), rows, message, max(counts, key=lambda name: counts[name]))
    if expected is None:
        return not_in_reference(field, "above", rows)

    def excess(name: str) -> float:
        before = getattr(expected, name)
        return float(counts[name] / rows - (before / expected.rows if expected.rows else 0.0))

    worst = max(_GONE, key=excess)
    effect, of = field.design_effect(rows, "missing"), lambda p: (getattr(p, worst), p.rows)
    return share(rule, field, counts[worst], rows, message, worst, of, tests=len(_GONE), effect=effect)


def type_mismatch(rule: TypeMismatch, field: FieldView) -> CheckResult:
    """Share of values of another type. NaN has no type of its own and is left to `missing`."""
    wanted = rule.expect or (field.reference.type if field.reference else None)
    if wanted is None:
        return not_in_reference(field, "expect")
    values = field.profile.values - field.profile.nan
    if values < rule.min_rows:
        return too_few_values(values, "values", rule.min_rows)

    def wrong(profile: FieldProfile) -> int:
        return sum(count for name, count in _types(profile).items() if name not in _FITTING[wanted])

    bad, types, finding = wrong(field.profile), _types(field.profile), "type"
    listed = ", ".join(f"{name} {count}" for name, count in types.items() if count)
    message = f"{percent(bad, values)} of {values} values are no {wanted}: {listed}"
    floats_for_ints = wanted == "int" and types.get("float", 0) > SHARE_MARGIN * values
    explained = explain(field) if floats_for_ints else None  # whole numbers times a factor?
    if explained is not None and explained.finding in TRANSFORMED:
        message, finding = f"{message}; {explained.message}", explained.finding
    of = None if rule.expect else lambda p: (wrong(p), p.values - p.nan)
    return share(rule, field, bad, values, message, finding, of)


def has_format(_rule: Format, reference: FieldReference) -> bool:
    """Return whether the field's values can be written in several ways."""
    return reference.type != "bool"


def changed_format(rule: Format, field: FieldView) -> CheckResult:
    """Share of values in a format that the reference has less of: the format that has gained most."""
    expected, profile = field.expected, field.profile
    if expected is None or field.reference is None:
        return not_in_reference(field)
    texts = field.reference.kind == "categorical"
    values = profile.types.get("string", 0) if texts else profile.numbers
    if values < rule.min_rows:
        return too_few_values(values, "values", rule.min_rows)
    folded = {name.casefold() for name in field.reference.categories}

    def counts(p: FieldProfile) -> tuple[dict[str, int], int]:
        by_format = {name: p.formats.get(name, 0) for name in (_TEXT_FORMATS if texts else _NUMBER_FORMATS)}
        if texts:  # capitals for small letters, or the other way round: a known category in another guise
            by_format["other_case"] = sum(n for name, n in p.new.items() if name.casefold() in folded)
            return by_format, p.types.get("string", 0)
        # One whole number that is frequent is a default, not a loss of decimals.
        frequent = max((n for v, n in p.top_values.items() if v.lstrip("-").isdigit()), default=0)
        return {**by_format, "whole": max(by_format["whole"] - frequent, 0)}, p.numbers

    then, rows = counts(expected)
    now, _ = counts(profile)
    worst = max(now, key=lambda name: now[name] / values - then[name] / max(rows, 1))
    message = (
        f"{percent(now[worst], values)} of {values} values are {worst.replace('_', ' ')}, "
        f"in the reference {percent(then[worst], rows)}"
    )
    finding = {**_NUMBER_FORMATS, **_TEXT_FORMATS, "other_case": "case"}[worst]
    return share(rule, field, now[worst], values, message, finding, lambda _: (then[worst], rows), tests=len(now))


def share(
    rule: IntegrityRule,
    field: FieldView,
    bad: int,
    rows: int,
    message: str,
    finding: str,
    of: Callable[[FieldProfile], tuple[int, int]] | None = None,
    tests: int = 1,
    effect: float = 1.0,
) -> CheckResult:
    """Judge a share of bad rows against `above`, or against the reference's share and a margin.

    `of` counts the bad rows, and all that could be, of a profile. The best of `tests` tests was chosen (Bonferroni).
    `effect` rows count for one.
    """
    expected = None if of is None or field.expected is None else of(field.expected)
    if rule.above is not None:
        threshold, p_value = rule.above, exceeds(bad, rows, rule.above)
    elif expected is None:
        threshold, p_value = SHARE_MARGIN, exceeds(bad, rows, SHARE_MARGIN)
    else:
        before = expected[0] / expected[1] if expected[1] else 0.0
        threshold = min(before + SHARE_MARGIN, 1.0)
        counts = (round(count / effect) for count in (bad, rows, *expected))
        p_value = min(1.0, tests * fisher_greater(*counts))
    return compare(
        bad / rows if rows else float("nan"),
        Limit(threshold, rule.critical),
        p_value,
        rows=rows,
        reference_rows=0 if field.expected is None else field.expected.rows,
        message=message,
        finding=finding,
        evidence=lambda: evidence.of_field(field),
    )


def _types(profile: FieldProfile) -> dict[str, int]:
    """Values by type, NaN left out."""
    return {n: c - (profile.nan if n == "float" else 0) for n, c in profile.types.items()}
