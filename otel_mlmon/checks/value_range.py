"""Values where none were before: numbers beyond the range, categories that are not known, values in another unit."""

from __future__ import annotations

from typing import Final

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, compare, no_data
from otel_mlmon.checks.drift import seen_once
from otel_mlmon.checks.integrity import MARGIN, percent, share, too_few
from otel_mlmon.checks.single_values import few_values
from otel_mlmon.checks.transformation import TRANSFORMED, WORTH_A_LOOK, Found, explain
from otel_mlmon.rulefile import OutOfRange
from otel_mlmon.stats.drift.mixture import CONSTANT
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov
from otel_mlmon.stats.drift.unit_score import UnitScore, unit_score
from otel_mlmon.stats.inference.proportion import beyond_extremes, exceeds, fisher_greater
from otel_mlmon.values import FREQUENT_VALUES, CheckResult, FieldProfile

_SAME_VALUE: Final = 0.9  # share of the values outside from which on they are one value
_REST_CHANGED: Final = 1e-3  # p-value of the values inside the range, from which one value outside is no default
_LONGEST: Final = 60  # characters of a category that a message shows
_MOVED: Final = 1e-6  # p-value of the values inside the range, from which all of them have moved


def out_of_range(rule: OutOfRange, field: FieldView) -> CheckResult:
    """Share of numbers outside the range, or of texts that are no known category."""
    if rule.categories is not None or (field.reference is not None and field.reference.kind == "categorical"):
        return _unknown_categories(rule, field)
    low, high = rule.minimum, rule.maximum
    stated = low is not None or high is not None
    if not stated and (field.reference is None or not field.reference.edges):
        return no_data("not_in_reference", f"{field.name} has no range in the reference and the rule states none")
    numbers = field.profile.numbers
    if numbers < rule.min_rows:
        return too_few(rule, numbers, "numbers")
    if field.reference is not None and field.reference.edges:
        low = field.reference.edges[0] if low is None else low
        high = field.reference.edges[-1] if high is None else high
    bins = field.profile.bins
    bad = field.count_outside(low, high) if stated or bins is None else int(bins[0] + bins[-1])
    message = (
        f"{percent(bad, numbers)} of {numbers} numbers outside {_bound(low)} to {_bound(high)} "
        f"(seen {field.profile.minimum:g} to {field.profile.maximum:g})"
    )
    limit = MARGIN if rule.above is None else rule.above
    share_outside, inside = bad / numbers, None
    if stated or rule.above is not None or field.reference is None:
        p_value = exceeds(bad, numbers, limit)
    else:
        known = field.reference.profile.numbers
        worth = field.design_effect(numbers, "tails")
        p_value = beyond_extremes(round(bad / worth), round(numbers / worth), max(round(known / worth), 2))
        inside = _other_unit(field, field.design_effect(numbers))
    news = share_outside > limit and p_value < WORTH_A_LOOK
    found = _one_value(field, low, high, bad) if news else None
    if found is None and (news or inside):
        found = explain(field)
    if inside is not None:
        if share_outside <= limit and inside.share > limit and found and found.finding in TRANSFORMED:
            share_outside, message = (
                inside.share,
                f"{inside.share:.1%} of {numbers} numbers, all inside the known range",
            )
            p_value = min(p_value, inside.p_value)
        p_value = min(1.0, 2 * p_value)
    return compare(
        share_outside,
        limit,
        p_value,
        rows=numbers,
        reference_rows=0 if field.expected is None else field.expected.rows,
        message=f"{message}; {found.message}" if found else message,
        finding=_finding(field, found),
        critical=rule.critical,
        evidence=lambda: evidence.of_field(field),
    )


def _other_unit(field: FieldView, worth: float) -> UnitScore | None:
    """Numbers in another unit may lie inside the range, where only their number in each bin tells."""
    reference, expected, bins = field.reference, field.expected, field.profile.bins
    if reference is None or expected is None or expected.bins is None or bins is None or few_values(field):
        return None
    score = unit_score(reference.edges, expected.bins, bins, worth)
    return score if score is not None and score.p_value < WORTH_A_LOOK else None


def _one_value(field: FieldView, low: float | None, high: float | None, bad: int) -> Found | None:
    """A default, when all that is outside is one and the same value."""

    def outside(value: str) -> bool:
        return (low is not None and float(value) < low) or (high is not None and float(value) > high)

    beyond = {v: n for v, n in field.profile.heavy.items() if not v.startswith('"') and outside(v)}
    value = max(beyond, key=lambda v: beyond[v], default="")
    if beyond.get(value, 0) < max(_SAME_VALUE * bad, CONSTANT) or _inside_moved(field) < _REST_CHANGED:
        return None
    return Found("default", f"{beyond[value]} of them are {value}: another default?")


def _finding(field: FieldView, found: Found | None) -> str:
    if found is not None and found.finding in (*TRANSFORMED, "default"):
        return found.finding
    # Where the values inside the range have moved as well, those beyond it are the tail of a shift.
    all_moved = found is not None and found.finding == "shift"
    return "shift" if _inside_moved(field) < (WORTH_A_LOOK if all_moved else _MOVED) else "range"


def _inside_moved(field: FieldView) -> float:
    """P-value of the values inside the range being distributed as in the reference; 1 when nothing is known of them."""
    if field.expected is None or field.expected.bins is None or field.profile.bins is None:
        return 1.0
    p_value = kolmogorov_smirnov(field.expected.bins[1:-1], field.profile.bins[1:-1]).p_value
    return 1.0 if p_value != p_value else p_value


def _unknown_categories(rule: OutOfRange, field: FieldView) -> CheckResult:
    known = () if field.reference is None else field.reference.categories

    def texts(profile: FieldProfile) -> int:
        return profile.types.get("string", 0) + profile.types.get("bool", 0) - profile.empty

    def unknown(profile: FieldProfile) -> int:
        counts: dict[str, int] = dict(
            zip(known, [] if profile.categories is None else profile.categories.tolist(), strict=False)
        )
        counts.update(profile.new)
        allowed = known if rule.categories is None else rule.categories
        return max(texts(profile) - sum(counts.get(name, 0) for name in allowed if name), 0)

    values = texts(field.profile)
    if values < rule.min_rows:
        return too_few(rule, values, "texts")
    allowed = set(known if rule.categories is None else rule.categories)
    fresh = sorted((n for n in field.profile.new if n not in allowed), key=lambda n: -field.profile.new[n])
    message = f"{percent(unknown(field.profile), values)} of {values} values in unknown categories"
    if len(fresh) >= FREQUENT_VALUES:
        message += f", {len(fresh)} or more different ones"
    message += ": " + ", ".join(f"{_cut(name)!r} {field.profile.new[name]}" for name in fresh[:5])
    finding = "cardinality" if len(fresh) >= FREQUENT_VALUES else "new_category"
    if rule.categories is not None or rule.above is not None or field.expected is None:
        of = None if rule.categories is not None else lambda p: (unknown(p), texts(p))
        return share(rule, field, unknown(field.profile), values, message, finding, of)
    before, rows = unknown(field.expected), texts(field.expected)
    if before > MARGIN * rows:
        # The names that it keeps are the most frequent of these very rows: elsewhere their share is smaller, none knows by how much.
        return no_data(
            "too_many_categories",
            f"{percent(before, rows)} of the reference's values are in categories that it does not keep by name",
            rows=values,
            reference_rows=rows,
        )
    p_value = fisher_greater(unknown(field.profile), values, before + seen_once(field.expected), rows)
    return compare(
        unknown(field.profile) / values,
        before / max(rows, 1) + MARGIN,
        p_value,
        rows=values,
        reference_rows=rows,
        message=message,
        finding=finding,
        critical=rule.critical,
        evidence=lambda: evidence.of_field(field),
    )


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"


def _bound(value: float | None) -> str:
    return "anything" if value is None else f"{value:g}"
