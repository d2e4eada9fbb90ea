"""Values where none were before: numbers beyond the range, categories that are not known, values in another unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, Limit, compare, no_data, percent, too_few_values
from otel_mlmon.checks.drift import seen_once
from otel_mlmon.checks.integrity import SHARE_MARGIN, share
from otel_mlmon.checks.transformation import TRANSFORMED, WORTH_A_LOOK, Found, explain
from otel_mlmon.rulefile import OutOfRange
from otel_mlmon.stats.drift.mixture import CONSTANT
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov
from otel_mlmon.stats.drift.unit_score import UnitScore, unit_score
from otel_mlmon.stats.inference.proportion import beyond_extremes, exceeds, fisher_greater
from otel_mlmon.values import FREQUENT_VALUES, CheckResult, FieldProfile

_SAME_VALUE: Final = 0.9  # share of the values outside from which on they are one value
_INSIDE_CHANGED: Final = 1e-3  # p-value of the values inside the range, from which one value outside is no default
_LONGEST: Final = 60  # characters of a category that a message shows
_ALL_MOVED: Final = 1e-6  # p-value of the values inside the range, below which all have moved


def out_of_range(rule: OutOfRange, field: FieldView) -> CheckResult:
    """Share of numbers outside the range, or of texts that are no known category."""
    if rule.categories is not None or (field.reference is not None and field.reference.kind == "categorical"):
        return _unknown_categories(rule, field)
    stated = rule.minimum is not None or rule.maximum is not None
    if not stated and (field.reference is None or not field.reference.edges):
        return no_data("not_in_reference", f"{field.name} has no range in the reference and the rule states none")
    numbers = field.profile.numbers
    if numbers < rule.min_rows:
        return too_few_values(numbers, "numbers", rule.min_rows)
    low, high = _range(rule, field)
    bins = field.profile.bins
    bad = field.count_outside(low, high) if stated or bins is None else int(bins[0] + bins[-1])
    limit = SHARE_MARGIN if rule.above is None else rule.above
    from_reference = not stated and rule.above is None
    p_value = _p_value(field, bad) if from_reference else exceeds(bad, numbers, limit)
    inside = _other_unit(field, field.design_effect(numbers)) if from_reference else None
    size = bad / numbers
    message = (
        f"{percent(bad, numbers)} of {numbers} numbers outside {_bound(low)} to {_bound(high)} "
        f"(seen {field.profile.minimum:g} to {field.profile.maximum:g})"
    )
    news = size > limit and p_value < WORTH_A_LOOK
    found = _one_value(field, low, high, bad) if news else None
    if found is None and (news or inside):
        found = explain(field)
    if inside is not None:
        if size <= limit and inside.share > limit and found and found.finding in TRANSFORMED:
            size, p_value = inside.share, min(p_value, inside.p_value)
            message = f"{size:.1%} of {numbers} numbers, all inside the known range"
        p_value = min(1.0, 2 * p_value)
    return compare(
        size,
        Limit(limit, rule.critical),
        p_value,
        rows=numbers,
        reference_rows=0 if field.expected is None else field.expected.rows,
        message=f"{message}; {found.message}" if found else message,
        finding=_finding(field, found),
        evidence=lambda: evidence.of_field(field),
    )


def _range(rule: OutOfRange, field: FieldView) -> tuple[float | None, float | None]:
    """The range that the rule states; a bound that it does not state is the reference's, where that has one."""
    low, high = rule.minimum, rule.maximum
    if field.reference is not None and field.reference.edges:
        low = field.reference.edges[0] if low is None else low
        high = field.reference.edges[-1] if high is None else high
    return low, high


def _p_value(field: FieldView, bad: int) -> float:
    """Of so many numbers beyond the reference's extremes, rows that resemble their neighbours counting for less."""
    assert field.reference is not None
    numbers, known = field.profile.numbers, field.reference.profile.numbers
    effect = field.design_effect(numbers, "tails")
    return beyond_extremes(round(bad / effect), round(numbers / effect), max(round(known / effect), 2))


def _other_unit(field: FieldView, worth: float) -> UnitScore | None:
    """Numbers in another unit may lie inside the range, where only their number in each bin tells."""
    reference, expected, bins = field.reference, field.expected, field.profile.bins
    if reference is None or expected is None or expected.bins is None or bins is None or reference.few_values:
        return None
    score = unit_score(reference.edges, expected.bins, bins, worth)
    return score if score is not None and score.p_value < WORTH_A_LOOK else None


def _one_value(field: FieldView, low: float | None, high: float | None, bad: int) -> Found | None:
    """A default, when all that is outside is one and the same value."""

    def outside(value: str) -> bool:
        return (low is not None and float(value) < low) or (high is not None and float(value) > high)

    beyond = {v: n for v, n in field.profile.top_values.items() if not v.startswith('"') and outside(v)}
    value = max(beyond, key=lambda v: beyond[v], default="")
    if beyond.get(value, 0) < max(_SAME_VALUE * bad, CONSTANT) or _inside_moved(field) < _INSIDE_CHANGED:
        return None
    return Found("default", f"{beyond[value]} of them are {value}: another default?")


def _finding(field: FieldView, found: Found | None) -> str:
    if found is not None and found.finding in (*TRANSFORMED, "default"):
        return found.finding
    # Where the values inside the range have moved as well, those beyond it are the tail of a shift.
    all_moved = found is not None and found.finding == "shift"
    return "shift" if _inside_moved(field) < (WORTH_A_LOOK if all_moved else _ALL_MOVED) else "range"


def _inside_moved(field: FieldView) -> float:
    """P-value of the values inside the range being distributed as in the reference; 1 when nothing is known."""
    if field.expected is None or field.expected.bins is None or field.profile.bins is None:
        return 1.0
    p_value = kolmogorov_smirnov(field.expected.bins[1:-1], field.profile.bins[1:-1]).p_value
    return 1.0 if p_value != p_value else p_value


def _unknown_categories(rule: OutOfRange, field: FieldView) -> CheckResult:
    profile, expected = field.profile, field.expected
    values, bad = _texts(profile), _unknown(rule, field, profile)
    if values < rule.min_rows:
        return too_few_values(values, "texts", rule.min_rows)
    message, finding = _new_categories(rule, field, bad, values)
    if rule.categories is not None or rule.above is not None or expected is None:
        of = None if rule.categories is not None else lambda p: (_unknown(rule, field, p), _texts(p))
        return share(rule, field, bad, values, message, finding, of)
    before, rows = _unknown(rule, field, expected), _texts(expected)
    if before > SHARE_MARGIN * rows:
        # The reference keeps the most frequent names of its own rows; elsewhere their share is smaller.
        message = f"{percent(before, rows)} of the reference's values are in categories that it does not keep by name"
        return no_data("too_many_categories", message, rows=values, reference_rows=rows)
    return compare(
        bad / values,
        Limit(before / max(rows, 1) + SHARE_MARGIN, rule.critical),
        fisher_greater(bad, values, before + seen_once(expected), rows),
        rows=values,
        reference_rows=rows,
        message=message,
        finding=finding,
        evidence=lambda: evidence.of_field(field),
    )


def _allowed(rule: OutOfRange, field: FieldView) -> Sequence[str]:
    if rule.categories is not None:
        return rule.categories
    return () if field.reference is None else field.reference.categories


def _texts(profile: FieldProfile) -> int:
    return profile.types.get("string", 0) + profile.types.get("bool", 0) - profile.empty


def _unknown(rule: OutOfRange, field: FieldView, profile: FieldProfile) -> int:
    """Texts that are no allowed category, the empty text left out."""
    known = () if field.reference is None else field.reference.categories
    counts = [] if profile.categories is None else profile.categories.tolist()
    by_name: dict[str, int] = {**dict(zip(known, counts, strict=False)), **profile.new}
    return max(_texts(profile) - sum(by_name.get(name, 0) for name in _allowed(rule, field) if name), 0)


def _new_categories(rule: OutOfRange, field: FieldView, bad: int, values: int) -> tuple[str, str]:
    """Message and finding."""
    allowed, new = set(_allowed(rule, field)), field.profile.new
    fresh = sorted((name for name in new if name not in allowed), key=lambda name: -new[name])
    many = len(fresh) >= FREQUENT_VALUES
    message = f"{percent(bad, values)} of {values} values in unknown categories"
    message += f", {len(fresh)} or more different ones" if many else ""
    message += ": " + ", ".join(f"{_cut(name)!r} {new[name]}" for name in fresh[:5])
    return message, "cardinality" if many else "new_category"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"


def _bound(value: float | None) -> str:
    return "anything" if value is None else f"{value:g}"
