"""Integrity of one field: the share of values that are missing, of another type or in another format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, compare, no_data
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
_NUMBER_FORMS: Final = {"whole": "precision", "beyond_int53": "big_int", "beyond_int32": "big_int"}
_TEXT_FORMS: Final = {
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
        return too_few(rule, rows, "rows")
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
    return share(
        rule,
        field,
        counts[worst],
        rows,
        message,
        worst,
        lambda p: (getattr(p, worst), p.rows),
        len(_GONE),
        field.design_effect(rows, "missing"),
    )


def type_mismatch(rule: TypeMismatch, field: FieldView) -> CheckResult:
    """Share of values of another type. NaN has no type of its own and is left to `missing`."""
    wanted = rule.expect or (field.reference.type if field.reference else None)
    if wanted is None:
        return not_in_reference(field, "expect")
    values = field.profile.values - field.profile.nan
    if values < rule.min_rows:
        return too_few(rule, values, "values")

    def wrong(profile: FieldProfile) -> int:
        return sum(count for name, count in _types(profile).items() if name not in _FITTING[wanted])

    found = ", ".join(f"{name} {count}" for name, count in _types(field.profile).items() if count)
    message = f"{percent(wrong(field.profile), values)} of {values} values are no {wanted}: {found}"
    of = None if rule.expect else lambda p: (wrong(p), p.values - p.nan)
    explained = None
    if (
        wanted == "int" and _types(field.profile).get("float", 0) > SHARE_MARGIN * values
    ):  # whole numbers times a factor?
        explained = explain(field)
    if explained is not None and explained.finding in TRANSFORMED:
        return share(
            rule, field, wrong(field.profile), values, f"{message}; {explained.message}", explained.finding, of
        )
    return share(rule, field, wrong(field.profile), values, message, "type", of)


def has_format(_rule: Format, reference: FieldReference) -> bool:
    """Return whether the field's values can be written in several ways."""
    return reference.type != "bool"


def changed_format(rule: Format, field: FieldView) -> CheckResult:
    """Share of values in a form that the reference has less of: the form that has gained most."""
    expected, profile = field.expected, field.profile
    if expected is None or field.reference is None:
        return not_in_reference(field)
    texts = field.reference.kind == "categorical"
    values = profile.types.get("string", 0) if texts else profile.numbers
    if values < rule.min_rows:
        return too_few(rule, values, "values")
    folded = {name.casefold() for name in field.reference.categories}

    def counts(p: FieldProfile) -> tuple[dict[str, int], int]:
        if not texts:
            found = {form: p.forms.get(form, 0) for form in _NUMBER_FORMS}
            # One whole number that is frequent is a default, not a loss of decimals.
            found["whole"] -= max((n for v, n in p.heavy.items() if v.lstrip("-").isdigit()), default=0)
            return {form: max(n, 0) for form, n in found.items()}, p.numbers
        # Capitals for small letters, or the other way round: a known category in another guise.
        other_case = sum(n for name, n in p.new.items() if name.casefold() in folded)
        return {**{form: p.forms.get(form, 0) for form in _TEXT_FORMS}, "other_case": other_case}, p.types.get(
            "string", 0
        )

    then, rows = counts(expected)
    now, _ = counts(profile)
    worst = max(now, key=lambda form: now[form] / values - then[form] / max(rows, 1))
    message = (
        f"{percent(now[worst], values)} of {values} values are {worst.replace('_', ' ')}, "
        f"in the reference {percent(then[worst], rows)}"
    )
    finding = {**_NUMBER_FORMS, **_TEXT_FORMS, "other_case": "case"}[worst]
    return share(
        rule, field, now[worst], values, message, finding, lambda p: (counts(p)[0][worst], counts(p)[1]), len(now)
    )


def share(
    rule: IntegrityRule,
    field: FieldView,
    bad: int,
    rows: int,
    message: str,
    finding: str,
    of: Callable[[FieldProfile], tuple[int, int]] | None = None,
    tests: int = 1,
    worth: float = 1.0,
) -> CheckResult:
    """Judge a share of bad rows against `above`, or against the reference's share and a margin.

    `of` counts the bad rows, and all that could be, of a profile. The best of `tests` tests was chosen (Bonferroni).
    `worth` rows count for one.
    """
    expected = None if of is None or field.expected is None else of(field.expected)
    if rule.above is not None:
        threshold, p_value = rule.above, exceeds(bad, rows, rule.above)
    elif expected is None:
        threshold, p_value = SHARE_MARGIN, exceeds(bad, rows, SHARE_MARGIN)
    else:
        before = expected[0] / expected[1] if expected[1] else 0.0
        threshold = min(before + SHARE_MARGIN, 1.0)
        p_value = min(
            1.0,
            tests
            * fisher_greater(
                round(bad / worth), round(rows / worth), round(expected[0] / worth), round(expected[1] / worth)
            ),
        )
    return compare(
        bad / rows if rows else float("nan"),
        threshold,
        p_value,
        rows=rows,
        reference_rows=0 if field.expected is None else field.expected.rows,
        message=message,
        finding=finding,
        critical=rule.critical,
        evidence=lambda: evidence.of_field(field),
    )


def too_few(rule: IntegrityRule, count: int, unit: str) -> CheckResult:
    """The answer to a window with fewer rows than the rule asks for."""
    reason = "no_values" if count == 0 else "too_few_rows"
    return no_data(reason, f"{count} {unit}, the rule asks for at least {rule.min_rows}", rows=count)


def percent(part: int, whole: int) -> str:
    """A share as people read it."""
    return f"{part / whole:.1%}" if whole else "0%"


def _types(profile: FieldProfile) -> dict[str, int]:
    """Values by type, NaN left out."""
    return {n: c - (profile.nan if n == "float" else 0) for n, c in profile.types.items()}


def not_in_reference(field: FieldView, key: str = "", rows: int = 0) -> CheckResult:
    """The answer to a field that the reference does not know."""
    without = f" and the rule has no `{key}`" if key else ""
    return no_data("not_in_reference", f"{field.name} is not in the reference{without}", rows=rows)
