"""Single values that have become frequent: a default that appears, vanishes or moves, and a field that is stuck."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, compare, no_data
from otel_mlmon.checks.drift import cells
from otel_mlmon.checks.integrity import MARGIN, not_in_reference, percent, too_few
from otel_mlmon.checks.transformation import TRANSFORMED, WORTH_A_LOOK, explain
from otel_mlmon.rulefile import DefaultValue, Stuck
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.drift.homogeneity import homogeneity_p_value
from otel_mlmon.stats.inference.proportion import fisher_greater
from otel_mlmon.values import FREQUENT_VALUES, CheckResult
from otel_mlmon.values.evidence import FieldEvidence, Line
from otel_mlmon.wire.columns import json_text, number_text

_STUCK: Final = 0.999
_REST_CHANGED: Final = 0.02  # p-value of all the other values, from which it is no single value that has changed
_REST_CHANGED_BY_A_NEW_ONE: Final = 1e-3  # of a value beyond all others: what has moved as a whole brings several
_REST_CHANGED_BY_A_FALL: Final = 0.05
_REST_CHANGED_FOR_A_NAME: Final = 0.2
_SURE: Final = 1e-3
_WAS_THERE: Final = 0.01  # share of the reference's rows from which it is news that a value is gone
_SEVERAL: Final = 2  # times as many values as have this one are in another unit, when it is one of them
# What people write for "not known"; any other new category is a new category.
_UNKNOWN: Final = frozenset({
    "", "?", "-", "--", "na", "n/a", "n.a.", "nan", "nil", "none", "null", "unknown", "undefined", "missing", "other",
    "default", "not available", "not known", "0", "-1", "99", "999", "9999",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Before:
    """Single values in the reference, as JSON text → rows. Any other has at most `others` rows."""

    counts: Mapping[str, int]
    rows: int
    others: int

    def of(self, value: str) -> int:
        return self.counts.get(value, self.others)


def _before(field: FieldView) -> _Before:
    reference, expected = field.reference, field.expected
    assert reference is not None and expected is not None
    if reference.kind == "categorical" and expected.categories is not None:
        names = [name if reference.type == "bool" else json_text(name) for name in reference.categories]
        return _Before(dict(zip(names, expected.categories.tolist(), strict=True)), expected.rows, 0)
    if few_values(field) and expected.bins is not None:
        names = [number_text(value) for value in reference.edges[:-1]]
        return _Before(dict(zip(names, expected.bins[1:-1].tolist(), strict=True)), expected.rows, 0)
    rows, shares = reference.profile.rows, reference.constants
    others = min(shares.values()) if len(shares) >= FREQUENT_VALUES else 1 / max(rows, 1)
    # A segment's own counts, where there are any; what is rare in the whole has no more rows in a part of it.
    counts = expected.heavy or {v: round(s * rows) for v, s in shares.items()}
    return _Before(counts, expected.rows if expected.heavy else rows, min(math.ceil(others * rows), expected.rows))


def _now(field: FieldView, value: str) -> int:
    """Rows of the window that have the value."""
    categories = field.profile.categories
    place = None if categories is None else _cell(field, value)
    if categories is not None and place is not None and place < len(categories):
        return int(categories[place])
    return field.profile.heavy.get(value, 0)


def few_values(field: FieldView) -> bool:
    """Whether each bin of a numeric field holds one value only."""
    edges = field.reference.edges if field.reference else ()
    return len(edges) > 1 and edges[-1] == edges[-2]


def default_value(rule: DefaultValue, field: FieldView) -> CheckResult:
    """Largest change of any single value's share of the rows, the other values keeping their proportions."""
    if field.reference is None or field.expected is None:
        return not_in_reference(field)
    rows, before = field.profile.rows, _before(field)
    if rows < rule.min_rows:
        return too_few(rule, rows, "rows")
    watched = {json_text(v) for v in rule.values} if rule.values else {*before.counts, *field.profile.heavy}
    if len(before.counts) == 2 and rule.values is None and before.others == 0:
        watched -= set(before.counts)  # of two values, one's share is the other's: that is the distribution
    watched = {v for v in watched if v in before.counts or not v.startswith('"') or _stands_for_unknown(v)}
    if not watched:
        return no_data("no_values", f"{field.name} has no value at all", rows=rows, reference_rows=before.rows)
    now = {v: _now(field, v) for v in watched}
    most = {v: _at_most(field, before, v) for v in watched}
    change = {v: n / rows - most[v] / max(before.rows, 1) for v, n in now.items()}
    # Of a value that the reference does not list, only the most that it may have had is known: it can rise, not fall.
    change |= {v: max(c, 0.0) for v, c in change.items() if v not in before.counts}
    limit = MARGIN if rule.above is None else rule.above
    # What is too small a change to matter need not be tested, but counts as tested. The values that stand in for others most
    # often share one half of the error between them, all others the other half (weighted Bonferroni: Genovese, Roeder and
    # Wasserman, Biometrika 93, 2006).
    likely = watched & _likely(field, before)
    p_values = {
        v: min(1.0, 2 * len(likely if v in likely else watched - likely)
               * _p_value(field, now[v], most[v], rows, before.rows)) if abs(c) > limit else 1.0
        for v, c in change.items()
    }  # fmt: skip
    order = sorted(watched, key=lambda v: (p_values[v], -abs(change[v]), v))
    left = [
        v
        for v, n in before.counts.items()
        if n >= _WAS_THERE * before.rows and now.get(v, n) * before.rows < n * rows / 10
    ]
    value = next(
        (
            v
            for v in order[:3]
            if not _shifted(field, left, v) and _alone(field, before, {v, *left[: len(left) == 1]}, v)
        ),
        None,
    )
    p_value = p_values[order[0] if value is None else value]
    value = order[0] if value is None and p_value > _SURE else value
    shown = value or order[0]
    message = (
        f"{field.name} is {evidence.shown(shown)} in {now[shown] / rows:.1%} of the rows, "
        f"in the reference {before.counts.get(shown, 0) / max(before.rows, 1):.1%}"
    )
    size, finding = abs(change[shown]), "default"
    if value is not None and value not in before.counts and size > limit and p_value < WORTH_A_LOOK:
        # A new value may be one of several: those of values that are in another unit.
        found = explain(field) if field.reference.kind == "numeric" else None
        if found is not None and found.finding in TRANSFORMED and found.share > _SEVERAL * size:
            finding, message = found.finding, f"{message}; {found.message}"
    if value is None:  # all shares have moved: that is drift, and for the drift rules to say
        size, p_value, message = 0.0, 1.0, f"{message}; so have the other values: no single value stands out"

    def details() -> FieldEvidence:
        lines = [
            Line(f"share of {evidence.shown(v)}", before.counts.get(v, 0) / max(before.rows, 1), now[v] / rows)
            for v in order[:8]
        ]
        of_field = evidence.of_field(field)
        return replace(of_field, numbers=(*lines, *of_field.numbers))

    return compare(
        size, limit, p_value,
        rows=rows, reference_rows=before.rows, message=message, finding=finding, critical=rule.critical,
        evidence=details,
    )  # fmt: skip


def _likely(field: FieldView, before: _Before) -> set[str]:
    """0, -1, and the reference's most frequent value and median: what is put in where nothing is known."""
    edges = field.reference.edges if field.reference else ()
    median = [number_text(edges[len(edges) // 2])] if edges and not few_values(field) else []
    return {"0", "-1", *sorted(before.counts, key=lambda v: -before.counts[v])[:1], *median}


def _at_most(field: FieldView, before: _Before, value: str) -> int:
    """Rows of the reference that may have had the value: no more than all of its bin."""
    place = _cell(field, value)
    if value in before.counts or place is None or field.reference is None or field.expected is None:
        return before.of(value)
    return min(before.others, int(cells(field.reference, field.expected)[place]))


def _stands_for_unknown(value: str) -> bool:
    return json.loads(value).strip().casefold() in _UNKNOWN


def _p_value(field: FieldView, now: int, before: int, rows: int, reference_rows: int) -> float:
    """Two-sided Fisher test, rows counted for what they are worth."""
    worth = field.design_effect(rows, "single") if before else 1.0  # what was never there has no neighbours
    n, k, m, c = (round(count / worth) for count in (rows, now, reference_rows, before))
    return min(1.0, 2 * min(fisher_greater(k, n, c, m), fisher_greater(c, m, k, n)))


def _shifted(field: FieldView, left: Sequence[str], value: str) -> bool:
    """Whether the last of few values rose as the first vanished: all have moved by one, and stopped at the end of the scale."""
    edges = field.reference.edges if field.reference and few_values(field) else ()
    ends = [number_text(edge) for edge in (*edges[:1], *edges[-1:])]
    return len(left) == 1 and ends in ([left[0], value], [value, left[0]])


def _alone(field: FieldView, before: _Before, moved: set[str], value: str) -> bool:
    """Whether all values but `moved` kept their proportions: else all of the distribution has moved.

    A default that has become another one is two: the one that has gone, and the one that has come.
    """
    assert field.reference is not None and field.expected is not None
    then, seen = cells(field.reference, field.expected).copy(), cells(field.reference, field.profile).copy()
    for one in moved:
        place = _cell(field, one)
        if place is not None:
            then[place] = max(then[place] - before.counts.get(one, 0), 0)
            seen[place] = max(seen[place] - _now(field, one), 0)
    inside = (then + seen) > 0
    now, old = _now(field, value), before.counts.get(value, 0)
    if not then.any() or not seen.any() or inside.sum() < 2:
        return now > old or inside.sum() < 2  # with one other value alone, a rise is a default, a fall is its own
    # What a value has lost may have gone to one other value: that is drift. What it has gained came from all alike.
    rose = now * field.expected.rows > old * field.profile.rows
    least = _REST_CHANGED if rose else _REST_CHANGED_BY_A_FALL
    place = _cell(field, value)
    if value not in before.counts and place is not None and not then[place]:
        least = _REST_CHANGED_BY_A_NEW_ONE
    if value.startswith('"') and not _stands_for_unknown(value):  # a name that means something
        least = _REST_CHANGED_FOR_A_NAME
    return bool(homogeneity_p_value(then[inside].astype(float), seen[inside].astype(float)) > least)


def _cell(field: FieldView, value: str) -> int | None:
    assert field.reference is not None
    reference = field.reference
    if reference.kind == "categorical":
        name = json.loads(value) if value.startswith('"') else value
        return reference.categories.index(name) if name in reference.categories else len(reference.categories)
    if value.startswith('"') or value in ("true", "false") or not reference.edges:
        return None
    return int(bin_index(np.array([float(value)]), reference.edges)[0])


def stuck(rule: Stuck, field: FieldView) -> CheckResult:
    """Share of the most frequent value, which is all of them where a sensor, a join or a cache has stopped."""
    if field.reference is None or field.expected is None:
        return not_in_reference(field)
    values = field.profile.numbers + field.profile.types.get("string", 0) + field.profile.types.get("bool", 0)
    if values < rule.min_rows:
        return too_few(rule, values, "values")
    top = max(field.profile.heavy, key=lambda v: field.profile.heavy[v], default="")
    count, then = field.profile.heavy.get(top, 0), _before(field)
    before = max((*then.counts.values(), then.others)) / max(then.rows, 1)
    if field.expected.minimum == field.expected.maximum:
        before = 1.0
    limit = (1 + before) / 2 if before >= _STUCK else _STUCK
    # That all independent rows have one value, when the most frequent one has that share.
    p_value = 1.0 if before >= 1 else before ** (values / field.design_effect(values))
    return compare(
        count / values, limit if rule.above is None else rule.above, p_value,
        rows=values, reference_rows=then.rows, finding="stuck", critical=rule.critical,
        message=f"{percent(count, values)} of {values} values are {evidence.shown(top)}, "
        f"in the reference at most {before:.1%}",
        evidence=lambda: evidence.of_field(field),
    )  # fmt: skip
