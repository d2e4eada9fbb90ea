"""Integrity checks: is each value what it should be? Each is judged by the share of rows where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from otel_mlmon.columns import json_text
from otel_mlmon.evaluate import evidence
from otel_mlmon.evaluate.case import FieldCase, Outcome, judge, no_data
from otel_mlmon.rulefile import DefaultValue, IntegrityRule, Missing, OutOfRange, TypeMismatch
from otel_mlmon.stats.proportion import exceeds, exceeds_reference
from otel_mlmon.values import FieldProfile

# Without a stated limit: how far a share may rise above the reference's, in fractions of all rows.
MARGIN: Final = 0.01
DEFAULT_VALUE_MARGIN: Final = 0.05
_FITTING: Final[Mapping[str, frozenset[str]]] = {
    "float": frozenset({"int", "float"}),
    "int": frozenset({"int"}),
    "string": frozenset({"string"}),
    "bool": frozenset({"bool"}),
}


def missing(rule: Missing, case: FieldCase) -> Outcome:
    """Share of rows in which the field is absent, null or NaN."""
    profile, expected = case.profile, case.expected
    bad, rows = _missing(profile), profile.rows
    if rows < rule.min_rows:
        return _too_few(rule, rows, "rows")
    if rule.above is None and expected is None:
        return no_data(
            "not_in_reference", f"{case.name} is not in the reference and the rule has no `above`", rows=rows
        )
    message = (
        f"{_percent(bad, rows)} of {rows} rows without a value "
        f"(absent {profile.absent}, null {profile.null}, NaN {profile.nan})"
    )
    return _share(rule, case, bad, rows, _share_of(expected, _missing), message)


def type_mismatch(rule: TypeMismatch, case: FieldCase) -> Outcome:
    """Share of values of another type. NaN has no type of its own and is left to `missing`."""
    wanted = rule.expect or (case.reference.type if case.reference else None)
    if wanted is None:
        return no_data("not_in_reference", f"{case.name} is not in the reference and the rule has no `expect`")
    values = case.profile.values - case.profile.nan
    if values < rule.min_rows:
        return _too_few(rule, values, "values")

    def wrong(profile: FieldProfile) -> int:
        return sum(count for name, count in _types(profile).items() if name not in _FITTING[wanted])

    found = ", ".join(f"{name} {count}" for name, count in _types(case.profile).items() if count)
    message = f"{_percent(wrong(case.profile), values)} of {values} values are no {wanted}: {found}"
    expected = None if rule.expect else _share_of(case.expected, wrong)
    return _share(rule, case, wrong(case.profile), values, expected, message)


def out_of_range(rule: OutOfRange, case: FieldCase) -> Outcome:
    """Share of numbers outside the range, or of texts that are no known category."""
    if rule.categories is not None or (case.reference is not None and case.reference.kind == "categorical"):
        return _unknown_categories(rule, case)
    low, high = rule.minimum, rule.maximum
    stated = low is not None or high is not None
    if not stated and (case.reference is None or not case.reference.edges):
        return no_data("not_in_reference", f"{case.name} has no range in the reference and the rule states none")
    numbers = case.profile.numbers
    if numbers < rule.min_rows:
        return _too_few(rule, numbers, "numbers")
    if case.reference is not None and case.reference.edges:
        low = case.reference.edges[0] if low is None else low
        high = case.reference.edges[-1] if high is None else high
    bins = case.profile.bins
    bad = case.count_outside(low, high) if stated or bins is None else int(bins[0] + bins[-1])
    message = (
        f"{_percent(bad, numbers)} of {numbers} numbers outside {_bound(low)} to {_bound(high)} "
        f"(seen {case.profile.minimum:g} to {case.profile.maximum:g})"
    )
    return _share(rule, case, bad, numbers, 0.0, message)


def _unknown_categories(rule: OutOfRange, case: FieldCase) -> Outcome:
    known = () if case.reference is None else case.reference.categories

    def texts(profile: FieldProfile) -> int:
        return profile.types.get("string", 0) + profile.types.get("bool", 0)

    def unknown(profile: FieldProfile) -> int:
        counts: dict[str, int] = dict(
            zip(known, [] if profile.categories is None else profile.categories.tolist(), strict=False)
        )
        counts.update(profile.new)
        allowed = known if rule.categories is None else rule.categories
        return texts(profile) - sum(counts.get(name, 0) for name in allowed)

    values = texts(case.profile)
    if values < rule.min_rows:
        return _too_few(rule, values, "texts")
    allowed = set(known if rule.categories is None else rule.categories)
    names = sorted((n for n in case.profile.new if n not in allowed), key=lambda n: -case.profile.new[n])[:5]
    message = f"{_percent(unknown(case.profile), values)} of {values} values in unknown categories: " + ", ".join(
        f"{name!r} {case.profile.new[name]}" for name in names
    )
    expected = None if rule.categories is not None else _share_of(case.expected, unknown)
    return _share(rule, case, unknown(case.profile), values, expected, message)


def default_value(rule: DefaultValue, case: FieldCase) -> Outcome:
    """Largest change of any single value's share of the rows: a default that appears, vanishes, jumps or moves."""
    if case.reference is None:
        return no_data("not_in_reference", f"{case.name} is not in the reference")
    rows, reference_rows = case.profile.rows, case.reference.profile.rows
    if rows < rule.min_rows:
        return _too_few(rule, rows, "rows")
    before = case.reference.constants
    watched = {json_text(v) for v in rule.values} if rule.values else {*before, *case.profile.heavy}
    changes = {v: case.profile.heavy.get(v, 0) / rows - before.get(v, 0.0) for v in watched}
    if not changes:
        return no_data("no_values", f"{case.name} has no value at all", rows=rows, reference_rows=reference_rows)
    value = max(changes, key=lambda v: (abs(changes[v]), v))
    share, old = case.profile.heavy.get(value, 0) / rows, before.get(value, 0.0)
    threshold = DEFAULT_VALUE_MARGIN if rule.above is None else rule.above
    count, old_count = round(share * rows), round(old * reference_rows)
    sides = (count, rows, old_count, reference_rows) if share >= old else (old_count, reference_rows, count, rows)
    # As many comparisons as values: the smallest of their p-values is corrected for that (Bonferroni).
    p_value = min(1.0, exceeds_reference(*sides, 0.0) * len(changes))
    message = f"{case.name} is {evidence.shown(value)} in {share:.1%} of the rows, in the reference {old:.1%}"

    def shown() -> dict[str, Any]:
        top = sorted(changes, key=lambda v: -abs(changes[v]))[:8]
        lines = [[f"share of {evidence.shown(v)}", before.get(v, 0.0), before.get(v, 0.0) + changes[v]] for v in top]
        found = dict(evidence.of_field(case))
        return {**found, "numbers": [*lines, *found["numbers"]]}

    return judge(
        abs(changes[value]), threshold, p_value, rule.confidence,
        rows=rows, reference_rows=reference_rows, message=message, evidence=shown,
    )  # fmt: skip


def _share(
    rule: IntegrityRule, case: FieldCase, bad: int, rows: int, expected_share: float | None, message: str
) -> Outcome:
    """Judge a share of bad rows against `above`, or against the reference's share and a margin."""
    threshold = (expected_share or 0.0) + MARGIN if rule.above is None else rule.above
    reference_rows = 0 if case.expected is None else case.expected.rows
    return judge(
        bad / rows if rows else float("nan"),
        threshold,
        exceeds(bad, rows, threshold),
        rule.confidence,
        rows=rows,
        reference_rows=reference_rows,
        message=message,
        evidence=lambda: evidence.of_field(case),
    )


def _missing(profile: FieldProfile) -> int:
    return profile.absent + profile.null + profile.nan


def _types(profile: FieldProfile) -> dict[str, int]:
    """Values by type, NaN left out."""
    return {n: c - (profile.nan if n == "float" else 0) for n, c in profile.types.items()}


def _share_of(expected: FieldProfile | None, bad: Any) -> float | None:
    return None if expected is None or not expected.rows else bad(expected) / expected.rows


def _too_few(rule: IntegrityRule, found: int, what: str) -> Outcome:
    reason = "no_values" if found == 0 else "too_few_rows"
    return no_data(reason, f"{found} {what}, the rule asks for at least {rule.min_rows}", rows=found)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "0%"


def _bound(value: float | None) -> str:
    return "anything" if value is None else f"{value:g}"
